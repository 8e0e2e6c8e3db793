"""The words of the command line to the target that they name."""

from __future__ import annotations

from argparse import Namespace

from inspector.targets.target import Target


def open_target(options: Namespace) -> Target:
    """Attach to, or open, what `options.group` and its options name. Raises TargetError."""
    if options.group == "sim":
        from inspector.targets.sim.simulation import simulated

        return simulated(options)
    if options.group == "live":
        from inspector.targets.live.gdb_mi import GdbMi

        return GdbMi(options.address, gdb=options.gdb, qmp=options.qmp)
    from inspector.targets.open_file import open_file

    return open_file(options.file, options.boot)
