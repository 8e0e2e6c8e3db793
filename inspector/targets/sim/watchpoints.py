"""Tripwires on the simulated machine: exact, for every step says who did it and where."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from inspector.base.errors import TargetError
from inspector.targets.watchpoint import StopEvent, Write
from sim_backend.memory.errors import Inconsistent

if TYPE_CHECKING:
    from sim_backend.machine.event import Event

AT_ONCE = 100
Registers = Callable[[int], Mapping[str, int]]


class Watchpoints:
    """Tripwires on a machine. Times are its steps, counted from now.

    Args:
        writes: memory; told by its physical addresses.
        hooks: functions; told by their names.
        registers: tells a CPU's registers.
    """

    def __init__(self, machine: Any, writes: Sequence[Write], hooks: Mapping[str, int], registers: Registers) -> None:
        self._machine = machine
        self._registers = registers
        self._start = machine.steps
        self._bytes = {write.physical + byte for write in writes for byte in range(write.size)}
        self._hooks = frozenset(hooks)

    def stop_event(self, seconds: float) -> StopEvent | None:
        """Step until it trips; None if it has not within that time.

        Raises:
            TargetError: nothing can happen any more, or the machine is from a file and in a state that none gets into.
        """
        machine, memory = self._machine, self._machine.memory
        stored = False

        def observe(address: int, size: int, old: int, new: int) -> None:
            nonlocal stored
            stored |= old != new and not self._bytes.isdisjoint(range(address, address + size))
            if before:
                before(address, size, old, new)

        before, memory.observer = memory.observer, observe if self._bytes else memory.observer
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                events = 0
                for event in machine.events_of(AT_ONCE):
                    events += 1
                    if stored:
                        return self._trip("write", event)
                    if machine.entered and machine.entered[1] in self._hooks:
                        return self._trip("hook", event, machine.entered[1])
                if events < AT_ONCE:
                    raise TargetError(f"the simulated machine stands still: {machine.crashed or 'nothing can happen'}")
        except Inconsistent as error:
            raise TargetError(str(error)) from None
        finally:
            memory.observer = before
        return None

    def _trip(self, kind: str, event: Event, entered: str = "") -> StopEvent:
        cpu = event.cpu
        known = self._registers(cpu) if cpu is not None else {}
        time = self._machine.steps - self._start
        return StopEvent(time, kind, cpu, known, entered or event.function)
