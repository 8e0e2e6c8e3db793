"""`vtdpi gdb-plugin`: write the file that gdb sources, and print its path."""

from __future__ import annotations

from inspector.base.arguments import flag
from inspector.frontends.front_end import front_end
from inspector.gdb_plugin.install import write
from structs.frozen import frozen


@frozen
class GdbPluginOptions:
    """What it takes."""

    gdbinit: bool = flag("print the line for your .gdbinit instead of the path")


def run(options: GdbPluginOptions) -> int:
    """Write the file, for the vtdpi that runs this; the exit status. Raises UsageError if it cannot be written."""
    path = write()
    print(f"source {path}" if options.gdbinit else path)
    return 0


FRONT_END = front_end(GdbPluginOptions, run)
