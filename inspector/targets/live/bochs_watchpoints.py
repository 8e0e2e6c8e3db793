"""Tripwires on a machine in Bochs: its debugger's watchpoints, which miss no store and write nothing into the machine.

Bochs stops after the instruction that stored. It runs one instruction of each CPU in turn, so that what memory holds
then is what that CPU left.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.bochs_debugger import BochsDebugger
from inspector.targets.live.found_before import LONGEST, NAMES, WORD, Found, found_before
from inspector.targets.watchpoint import StopEvent, Write

MOST = 16
"""Write watchpoints that Bochs takes."""
INSTRUCTIONS_A_SECOND = 5_000_000
"""How Bochs was told to count the machine's time (`ips`)."""

TIME = re.compile(r"^Next at t=(\d+)", re.MULTILINE)
STORED = re.compile(r"^\((\d+)\) Caught write watch point at 0x([0-9a-f]+)", re.MULTILINE)
ENTERED = re.compile(r"^\((\d+)\) Breakpoint \d+, ", re.MULTILINE)
PLACE = re.compile(r"^\((\d+)\) \[0x([0-9a-f]+)\] [0-9a-f]+:([0-9a-f]+) ", re.MULTILINE)

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
        unsure: how often what a CPU found there, that stored after another one and before it stopped, is not told by
            the instruction: then it is what was there before both.
    """

    def __init__(
        self, debugger: BochsDebugger, machine: Machine, writes: Sequence[Write], hooks: Mapping[str, int]
    ) -> None:
        if len(writes) > MOST:
            raise TargetError(f"Bochs watches {MOST} places at most, not {len(writes)}: name fewer vCPUs")
        self._debugger = debugger
        self._writes = writes
        self._machine = machine
        self._start: int | None = None
        self._hooks = {address: name for name, address in hooks.items()}
        self._due: deque[StopEvent] = deque()
        self.stops = self.unsure = self.late = 0
        self._words = {word: 0 for write in writes for word in range(write.physical, write.physical + write.size, WORD)}
        self._keep()
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
        left = self._left([(cpu, address, int(places[cpu][0], 16)) for cpu, address in sorted(stored)])
        events = [
            self._store(when, cpu, address, places[cpu][1], word)
            for (cpu, address), word in zip(sorted(stored), left, strict=True)
        ]
        return events + [self._entry(when, cpu, int(places[cpu][1], 16)) for cpu in entered]

    def _store(self, when: float, cpu: int, address: int, virtual: str, word: int | None) -> StopEvent:
        """What stored is the instruction before the one that comes next."""
        known, rip = dict(self._machine.registers(cpu)), int(virtual, 16) - 1
        if known.pop("guest", 0):
            return StopEvent(when, "write", cpu, {"rip": rip}, PROCESSOR, None, address, word)
        function, line = self._machine.where(rip)
        return StopEvent(when, "write", cpu, known | {"rip": rip}, function, line, address, word)

    def _left(self, stores: Sequence[tuple[int, int, int]]) -> list[int | None]:
        """What each store left of the 8 bytes that it was to: told from the last one back, for only what all CPUs left
        together is there now. The stores are CPU, address, and where the next instruction is."""
        if len(stores) < 2:
            self._keep()
            return [None] * len(stores)
        before = dict(self._words)
        self._keep()
        now, left = dict(self._words), list[int | None]()
        for place, (cpu, address, following) in reversed(list(enumerate(stores))):
            word = address & -WORD
            left.append(now.get(word))
            if word in now and any(other & -WORD == word for _, other, _ in stores[:place]):
                found = self._found(cpu, address, following)
                if found is None:
                    self.unsure += 1
                    found = _whole(address, before[word])
                now[word] = now[word] & ~found.mask | found.value
        return left[::-1]

    def _found(self, cpu: int, address: int, following: int) -> Found | None:
        """What a CPU's last instruction, the one before this physical address, found there."""
        if self._machine.registers(cpu).get("guest"):
            return None
        try:
            code = self._machine.read(following - LONGEST, LONGEST)
        except NotReadable:
            return None
        registers = self._debugger.cpu_registers(cpu)
        return found_before(code, registers, address) if registers.keys() >= NAMES else None

    def _keep(self) -> None:
        """Note what is there now."""
        for write in self._writes:
            raw = self._machine.read(write.physical, write.size)
            for at in range(0, write.size, WORD):
                self._words[write.physical + at] = int.from_bytes(raw[at : at + WORD], "little")

    def _entry(self, when: float, cpu: int, rip: int) -> StopEvent:
        return StopEvent(when, "hook", cpu, {**self._machine.registers(cpu), "rip": rip}, self._hooks.get(rip))

    def disarm(self) -> None:
        """Stop it, and take them all away."""
        if STORED.search(self._debugger.stop()):
            self.late += 1
        self._debugger.command("unwatch")
        for number in re.findall(r"^\s*(\d+) lbreakpoint", self._debugger.command("blist"), re.MULTILINE):
            self._debugger.command(f"del {number}")


def _whole(address: int, word: int) -> Found:
    """All that a plain store to this address, as long as its alignment lets it be, may have found."""
    size = 8 if address % 8 == 0 else 4 if address % 4 == 0 else 1
    mask = (1 << 8 * size) - 1 << 8 * (address % WORD)
    return Found(mask, word & mask)


PROCESSOR = "posted-interrupt processing"
"""The processor's own, in VMX non-root operation (SDM volume 3, 31.6)."""
