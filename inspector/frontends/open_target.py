"""What a user says of a target to the target itself."""

from __future__ import annotations

from inspector.targets.options import LiveOptions, Options, SimOptions
from inspector.targets.target import Target


def open_target(options: Options) -> Target:
    """Attach to, or open, what the options name. Raises TargetError."""
    if isinstance(options, SimOptions):
        from inspector.targets.sim.simulation import simulated

        return simulated(options)
    if isinstance(options, LiveOptions) and options.address.startswith("bochs:"):
        from inspector.lab.labs import find_hvm
        from inspector.targets.live.bochs import Bochs

        return Bochs(find_hvm(options.address.removeprefix("bochs:")).machine())
    if isinstance(options, LiveOptions):
        from inspector.targets.live.gdb_mi import GdbMi

        return GdbMi(options.address, gdb=options.gdb, qmp=options.qmp)
    from inspector.targets.open_file import open_file

    return open_file(options.file, options.boot, options.hole)
