"""The file that gdb sources."""

from __future__ import annotations

import sys
from pathlib import Path

from inspector.base import new_file, xdg
from inspector.base.errors import UsageError
from inspector.base.new_file import NotWritten

PLUGIN = '''\
"""vtdpi inside gdb: `source` this. Made by `vtdpi gdb-plugin`, which makes it again when vtdpi has moved."""
import sys
sys.path.append({root!r})
try:
    from inspector.gdb_plugin.bootstrap import load
except ImportError:
    sys.stderr.write("vtdpi is no longer in " + {root!r} + ": run `vtdpi gdb-plugin` again\\n")
else:
    load({arguments})
    del load
'''


def write() -> Path:
    """Write the file, for the vtdpi that runs this; its path. Raises UsageError if it cannot be written."""
    import sysconfig

    directory = xdg.state() / "gdb-plugin"
    path = directory / "vtdpi.py"
    root = str(Path(__file__).absolute().parents[2])
    paths = sysconfig.get_paths()
    site = dict.fromkeys((paths["purelib"], paths["platlib"]))
    arguments = ", ".join(map(repr, (str(directory), root, sys.executable, *site)))
    text = PLUGIN.format(root=root, arguments=arguments)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        new_file.write(path, text)
    except NotWritten as error:
        raise UsageError(f"{error}; set XDG_STATE_HOME") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; set XDG_STATE_HOME") from error
    return path
