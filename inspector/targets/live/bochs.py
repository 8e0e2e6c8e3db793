"""A machine that Bochs emulates, read from Bochs' own memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from inspector.base.errors import TargetError
from inspector.profiles.functions import SymbolFile
from inspector.targets.live import bochs_registers
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.bochs_hold import BochsHold
from inspector.targets.live.bochs_memory import BochsMemory
from inspector.targets.live.bochs_process import BochsProcess
from inspector.targets.live.bochs_watchpoints import MOST, BochsWatchpoints, Where
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu, Target
from inspector.targets.watchpoint import StopEvent, Write
from structs.frozen import frozen

PREFIX = "bochs:"
"""How the name of such a target begins."""


@frozen
class BochsMachine:
    """Where a Bochs is to be found.

    Attributes:
        name: for messages.
        pid: its process.
        commands, answers: its debugger's, see `BochsDebugger`.
        places: where its registers are, see `bochs_registers`.
        symbols: the xen-syms of the Xen in it, if there is one.
    """

    name: str
    pid: int
    commands: Path
    answers: Path
    places: Mapping[str, int]
    symbols: Path | None = None


class Bochs(Target):
    """The machine of a Bochs, whose RAM can be read while it runs.

    Its registers are known as `rip`, `rsp` and `cr3`; besides them `guest`, whether the CPU is in VMX non-root
    operation, and `vmcs`, the physical address of its current VMCS.
    """

    def __init__(self, machine: BochsMachine) -> None:
        self.machine = machine
        self.description = f"Bochs {machine.name} (process {machine.pid})"
        self.process = BochsProcess(machine.pid)
        self._hold = BochsHold(machine.pid, machine.answers)
        self._hold.recover()
        self.ram = BochsMemory(self.process)
        self.debugger = BochsDebugger(machine.pid, machine.commands, machine.answers)
        self._cpus = bochs_registers.cpu_places(self.process)
        self._was_running = self.debugger.running
        self._generation = 0
        self._holding = False
        self.watchpoints: BochsWatchpoints | None = None  # of the last trace
        self._symbols = SymbolFile(machine.symbols) if machine.symbols else None
        self._lines: dict[int, Where] = {}

    @property
    def running(self) -> bool:
        """As Control.running."""
        return self.debugger.running

    @property
    def generation(self) -> int:  # type: ignore[override]
        """As Target.generation: a machine that runs, and is not held, has always moved on."""
        if self.debugger.running and not self._holding:
            self._generation += 1
        return self._generation

    def stop(self) -> None:
        """As Control.stop, by the debugger: between two instructions."""
        self._release()
        self.debugger.stop()

    def cont(self) -> None:
        """As Control.cont."""
        self._release()
        self._generation += 1
        self.debugger.cont()

    @contextmanager
    def held(self) -> Iterator[None]:
        """While this lasts a running machine is of one moment: Bochs is not scheduled, as on a busy host. Nothing in
        the machine can tell, for its clock counts its instructions."""
        if not self.debugger.running:
            yield
            return
        self._hold.take()
        self._holding = True
        try:
            yield
        finally:
            self.cont()

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._generation += 1
            self._hold.release()

    def read(self, address: int, size: int) -> bytes:
        """As Target.read."""
        return self.ram.read(address, size)

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """As Target.read_parts, in one system call for up to 1,024 parts."""
        return self.ram.read_parts(wanted)

    unit = "s"
    most_writes = MOST

    def arm(self, writes: Sequence[Write], hooks: Mapping[str, int]) -> None:
        """As Watchpoint.arm. Times are the machine's own, in seconds."""
        self.watchpoints = BochsWatchpoints(self.debugger, self, writes, hooks)

    def stop_event(self, seconds: float) -> StopEvent | None:
        """As Watchpoint.stop_event; no store is missed."""
        self._generation += 1
        assert self.watchpoints
        return self.watchpoints.stop_event(seconds)

    def disarm(self) -> None:
        """As Watchpoint.disarm."""
        self._generation += 1
        if self.watchpoints:
            self.watchpoints.disarm()

    def registers(self, cpu: int) -> Mapping[str, int]:
        """A CPU's registers, as `cpus` has them."""
        return bochs_registers.read(self.process, self._cpus[cpu : cpu + 1], self.machine.places)[0]

    def where(self, address: int) -> Where:
        """The function of Xen's C source, and its line; what a header's macros do is told by who uses them."""
        if address not in self._lines:
            lines = self._symbols.lines(address) if self._symbols else ()
            best = next((line for line in lines if line.file.endswith(".c")), None)
            self._lines[address] = (best.function, f"{best.file}:{best.line}") if best else (None, None)
        return self._lines[address]

    def memory(self) -> Sequence[Range]:
        """What the machine has touched of its RAM."""
        return self.ram.ranges()

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs as they are now."""
        if not self.machine.places:
            return ()
        rows = bochs_registers.read(self.process, self._cpus, self.machine.places)
        return [Cpu(index, row) for index, row in enumerate(rows)]

    def leave(self) -> None:
        """As `close`, but it stands still or runs on as it does now."""
        self._was_running = self.debugger.running
        self.close()

    def close(self) -> None:
        """Let it run on if it ran before."""
        try:
            if self._was_running:
                with suppress(TargetError):
                    self.debugger.cont()
        finally:
            self._hold.close()
            self.debugger.close()
