"""A machine that Bochs emulates, read from Bochs' own memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inspector.base.errors import TargetError
from inspector.targets.live import bochs_registers
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.bochs_memory import BochsMemory
from inspector.targets.live.bochs_process import BochsProcess
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu, Target

PREFIX = "bochs:"
"""How the name of such a target begins."""


@dataclass(frozen=True)
class BochsMachine:
    """Where a Bochs is to be found.

    Attributes:
        name: for messages.
        pid: its process.
        commands, answers: its debugger's, see `BochsDebugger`.
        places: where its registers are, see `bochs_registers`.
    """

    name: str
    pid: int
    commands: Path
    answers: Path
    places: Mapping[str, int]


class Bochs(Target):
    """The machine of a Bochs, whose RAM can be read while it runs.

    Its registers are known as `rip`, `rsp` and `cr3`; besides them `guest`, whether the CPU is in VMX non-root
    operation, and `vmcs`, the physical address of its current VMCS.
    """

    def __init__(self, machine: BochsMachine) -> None:
        self.machine = machine
        self.description = f"Bochs {machine.name} (process {machine.pid})"
        self.process = BochsProcess(machine.pid)
        self.ram = BochsMemory(self.process)
        self.debugger = BochsDebugger(machine.pid, machine.commands, machine.answers)
        self._cpus = bochs_registers.cpu_places(self.process)
        self._was_running = self.debugger.running
        self._generation = 0
        self._holding = False

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
        self._signal(signal.SIGSTOP)
        self._holding = True
        try:
            yield
        finally:
            self.cont()

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._generation += 1
            self._signal(signal.SIGCONT)

    def read(self, address: int, size: int) -> bytes:
        """As Target.read."""
        return self.ram.read(address, size)

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """As Target.read_parts, in one system call for up to 1,024 parts."""
        return self.ram.read_parts(wanted)

    def memory(self) -> Sequence[Range]:
        """What the machine has touched of its RAM."""
        return self.ram.ranges()

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs as they are now."""
        if not self.machine.places:
            return ()
        rows = bochs_registers.read(self.process, self._cpus, self.machine.places)
        return [Cpu(index, row) for index, row in enumerate(rows)]

    def close(self) -> None:
        """Let it run on if it ran before."""
        try:
            if self._was_running:
                with suppress(TargetError):
                    self.debugger.cont()
        finally:
            self.debugger.close()

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.machine.pid, number)
        except OSError as error:
            raise TargetError(f"{self.description} is gone: {error.strerror}") from error
