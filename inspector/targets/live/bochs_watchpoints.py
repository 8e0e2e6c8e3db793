"""Tripwires on a machine in Bochs: its debugger's watchpoints, which miss no store and write nothing into the machine.

Bochs stops after the instruction that stored. It runs one instruction of each CPU in turn, so that what memory holds
then is what that CPU left.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.watchpoint import StopEvent, Write

MOST = 16
"""Write watchpoints that Bochs takes."""
INSTRUCTIONS_A_SECOND = 5_000_000
"""How Bochs was told to count the machine's time (`ips`)."""

TIME = re.compile(r"^Next at t=(\d+)", re.MULTILINE)
STORED = re.compile(r"^\((\d+)\) Caught write watch point at 0x([0-9a-f]+)", re.MULTILINE)
ENTERED = re.compile(r"^\((\d+)\) Breakpoint \d+, ", re.MULTILINE)
PLACE = re.compile(r"^\((\d+)\) \[0x([0-9a-f]+)\] [0-9a-f]+:([0-9a-f]+) ", re.MULTILINE)

BIT_OPERATION = b"\x0f\xba"
"""Opcode of BT, BTS, BTR and BTC with the bit's number in the last byte (SDM volume 2)."""
LONGEST_INSTRUCTION = 15

Where = tuple[str | None, str | None]
"""A function, and a line of its source."""


class Machine(Protocol):
    """What is asked of the machine at a stop."""

    def registers(self, cpu: int) -> Mapping[str, int]:
        """A CPU's registers, and `guest`."""

    def where(self, address: int) -> Where:
        """The function and line at a virtual address, as far as symbols tell."""

    def read(self, address: int, size: int) -> bytes:
        """Physical memory."""


class BochsWatchpoints:
    """The tripwires of one trace.

    Attributes:
        stops: how often the machine stopped at a tripwire.
        late: how often it did so when it was to be stopped for good, which the trace does not hold.
        merged: how often two CPUs had stored to one field by then, so that what was between them is not known.
    """

    def __init__(
        self, debugger: BochsDebugger, machine: Machine, writes: Sequence[Write], hooks: Mapping[str, int]
    ) -> None:
        if len(writes) > MOST:
            raise TargetError(f"Bochs watches {MOST} places at most, not {len(writes)}: name fewer vCPUs")
        self._debugger = debugger
        self._machine = machine
        self._start: int | None = None
        self._hooks = {address: name for name, address in hooks.items()}
        self._due: deque[StopEvent] = deque()
        self.stops = self.merged = self.late = 0
        for write in writes:
            answer = debugger.command(f"watch w {write.physical:#x} {write.size}")
            if "inserted" not in answer:
                raise TargetError(f"Bochs sets no watchpoint at {write.physical:#x}: {answer.strip()[:80]}")
        for address in hooks.values():
            debugger.command(f"lb {address:#x}")

    def stop_event(self, seconds: float) -> StopEvent | None:
        """Let it run until it trips; see Watchpoint. CPUs that stored in one turn come one after the other."""
        if not self._due:
            self._debugger.cont()
            said = self._debugger.wait(seconds)
            if said is None:
                return None
            self._due.extend(self._events(said))
        return self._due.popleft()

    def _events(self, said: str) -> list[StopEvent]:
        time, places = TIME.search(said), {int(cpu): place for cpu, *place in PLACE.findall(said)}
        stored = [(int(cpu), int(address, 16)) for cpu, address in STORED.findall(said)]
        entered = [int(cpu) for cpu in ENTERED.findall(said)]
        if not time or not (stored or entered) or not places.keys() >= {*entered, *(cpu for cpu, _ in stored)}:
            raise TargetError(f"Bochs stopped for another reason than a tripwire: {said.strip()[-200:]}")
        self.stops += 1
        now = int(time[1])
        self._start = now if self._start is None else self._start
        when = (now - self._start) / INSTRUCTIONS_A_SECOND
        events = [self._store(when, cpu, address, *places[cpu]) for cpu, address in sorted(stored)]
        for at, event in enumerate(events):
            later = ((other.address, other.bit) for other in events[at + 1 :])
            if (event.address, event.bit) in later:
                self.merged += 1
                events[at] = replace(event, overwritten=True)
        return events + [self._entry(when, cpu, int(places[cpu][1], 16)) for cpu in entered]

    def _store(self, when: float, cpu: int, address: int, physical: str, virtual: str) -> StopEvent:
        """What stored is the instruction before the one that comes next."""
        known, rip = dict(self._machine.registers(cpu)), int(virtual, 16) - 1
        if known.pop("guest", 0):
            return StopEvent(when, "write", cpu, {"rip": rip}, PROCESSOR, None, address)
        function, line = self._machine.where(rip)
        return StopEvent(when, "write", cpu, known | {"rip": rip}, function, line, address, self._bit(physical))

    def _entry(self, when: float, cpu: int, rip: int) -> StopEvent:
        return StopEvent(when, "hook", cpu, {**self._machine.registers(cpu), "rip": rip}, self._hooks.get(rip))

    def _bit(self, following: str) -> int | None:
        """The bit's number, if the instruction before this physical address was a bit operation on memory."""
        end = int(following, 16)
        try:
            code = self._machine.read(end - LONGEST_INSTRUCTION, LONGEST_INSTRUCTION)
        except NotReadable:
            return None
        # After the opcode: ModRM, perhaps SIB, a displacement of 0, 1 or 4 bytes, the number.
        if any(code[-size:][:2] == BIT_OPERATION for size in (4, 5, 6, 8, 9)):
            return code[-1]
        return None

    def disarm(self) -> None:
        """Stop it, and take them all away."""
        if STORED.search(self._debugger.stop()):
            self.late += 1
        self._debugger.command("unwatch")
        for number in re.findall(r"^\s*(\d+) lbreakpoint", self._debugger.command("blist"), re.MULTILINE):
            self._debugger.command(f"del {number}")


PROCESSOR = "posted-interrupt processing"
"""The processor's own, in VMX non-root operation (SDM volume 3, 31.6)."""
