"""What gdb's Python runs first, whichever version it has: so there is nothing newer than Python 3.6 here."""

import os
import shlex
import sys


def load(directory: str, root: str, python: str, *site: str) -> None:
    """Define the command `vtdpi` in this gdb, or say why not.

    Args:
        directory: where packages made for gdb's Python are, each version's in its own `pythonX.Y`.
        root: where vtdpi's own packages are.
        python: the Python that vtdpi uses outside of gdb.
        site: where that one's packages are.
    """
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.stderr.write(f"vtdpi: gdb's Python is {version}; vtdpi needs a gdb with Python 3.11 or newer\n")
        return
    import gdb  # type: ignore[import-untyped]

    if not hasattr(gdb, "RemoteTargetConnection"):
        sys.stderr.write(f"vtdpi: this is gdb {gdb.VERSION}; vtdpi needs gdb 12 or newer\n")
        return
    own = os.path.join(directory, "python" + version)
    # At the end, so that nothing that gdb's Python has is replaced; made for it before what may not fit it.
    wanted = [own, root, *site]
    sys.path[:] = [path for path in sys.path if path not in wanted] + list(dict.fromkeys(wanted))

    from inspector.gdb_plugin import commands, packages, printers

    pip = [python, "-m", "pip", "install", "--python-version", version, "--only-binary=:all:", "--target", own]
    packages.install_line = shlex.join(pip)
    commands.define()
    printers.define()
