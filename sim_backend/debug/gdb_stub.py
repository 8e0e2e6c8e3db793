"""A simulated machine behind a gdb remote stub.

Virtual addresses go through `idle_pg_table`, whatever a CPU has loaded. A breakpoint is hit when a CPU enters the
function at its address, a write watchpoint when a step stores there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sim_backend.debug import gdb_monitor
from sim_backend.debug.gdb_packets import ABORTED, FAULT, TRAPPED, NoSuchMemory, PacketStub
from sim_backend.layout.interrupts import DEVICE_STATE
from sim_backend.layout.page_tables import translate
from sim_backend.machine.registers import GUEST, IDLE, Placed, address_of, registers
from sim_backend.memory.errors import SimError
from structs.frozen import frozen

LONGEST_STEP = 10_000
NOWHERE = (GUEST, IDLE)


class Happened(Protocol):
    """One step."""

    @property
    def actor(self) -> str:
        """Who did it; a CPU is called `CPU 0`."""


class Driven(Placed, Protocol):
    """A machine that moves when it is told to."""

    @property
    def crashed(self) -> str | None:
        """Why it cannot go on, if so."""

    def step(self) -> Happened | None:
        """Do one atomic step; None if there is nothing to do."""


@frozen
class Watch:
    """A write watchpoint: the address that gdb named, and where that is."""

    named: int
    physical: int
    size: int


class Stub(PacketStub):
    """One simulated machine's stub."""

    def __init__(self, machine: Driven) -> None:
        super().__init__()
        self.machine = machine
        self.cpus = machine.layout.config.cpus
        self._breaks: dict[tuple[str, int], None] = {}
        self._watches: dict[tuple[int, int], Watch] = {}

    def attached(self, running: bool) -> bool:
        """As PacketStub: what the last debugger had set is forgotten, but not the memory mode."""
        self._breaks.clear()
        self._watches.clear()
        self._cpu = 0
        return running

    def detached(self, resume: bool) -> None:
        """As PacketStub."""

    def halt(self) -> None:
        """As PacketStub: it moves only when it is told to."""

    @property
    def crashed(self) -> str | None:
        """As PacketStub."""
        return self.machine.crashed

    def registers(self, cpu: int) -> Mapping[str, int]:
        """As PacketStub."""
        return registers(self.machine, cpu)

    def describe(self, cpu: int) -> str:
        """As PacketStub."""
        return self.machine.where(cpu)

    def monitor(self, command: str) -> str:
        """As PacketStub."""
        return gdb_monitor.answer(self.machine.layout, command)

    def place(self, address: int) -> int:
        """As PacketStub."""
        layout = self.machine.layout
        try:
            return translate(layout.memory, layout.symbol("idle_pg_table"), address)
        except SimError as error:
            raise NoSuchMemory(str(error)) from None

    def read(self, place: int, size: int) -> bytes:
        """As PacketStub."""
        try:
            return self.machine.layout.memory.read(_checked(place), size)
        except SimError as error:
            raise NoSuchMemory(str(error)) from None

    def write(self, pieces: list[tuple[int, int]], data: bytes) -> str:
        """As PacketStub."""
        memory = self.machine.layout.memory
        if not all(memory.has(_checked(place), length) for place, length in pieces):
            return FAULT
        for place, length in pieces:
            memory.write(place, data[:length])
            data = data[length:]
        return "OK"

    def point(self, kind: str, address: int, size: int, insert: bool) -> str:
        """As PacketStub."""
        if kind in ("0", "1"):
            key = ("swbreak:;" if kind == "0" else "hwbreak:;", address)
            self._breaks.update({key: None}) if insert else self._breaks.pop(key, None)
        elif kind == "2":
            if insert:
                self._watches[address, size] = Watch(address, _checked(self._place(address)), size)
            else:
                self._watches.pop((address, size), None)
        else:
            return ""
        return "OK"

    def step(self) -> str:
        """As PacketStub. A CPU that is about to begin a function does begin it: so gdb, which steps from
        a breakpoint before it goes on, finds that CPU past it."""
        cpu, place = self._cpu, self.machine.where(self._cpu)
        for _ in range(LONGEST_STEP):
            more, hit = self._watched_step()
            if hit or not more:
                return hit or self.stop_reply(TRAPPED)
            if place in NOWHERE or "+" in place or self.machine.where(cpu) != place:
                break
        return self.stop_reply(TRAPPED)

    def run(self, count: int) -> tuple[str | None, bool]:
        """As PacketStub."""
        for _ in range(count):
            more, hit = self._watched_step()
            if hit or not more:
                return hit, more
        return None, True

    def _watched_step(self) -> tuple[bool, str | None]:
        """Do a step: whether anything happened, and the stop reply if it hit something."""
        machine = self.machine
        memory = machine.layout.memory
        before = self._places() if self._breaks else []
        stores: list[tuple[int, int]] = []
        others = memory.observer
        if self._watches:

            def observe(address: int, size: int, old: int, new: int) -> None:
                stores.append((address, size))
                if others:
                    others(address, size, old, new)

            memory.observer = observe
        try:
            happened = machine.step()
        finally:
            if self._watches:
                memory.observer = others
        if happened is None:
            return False, self.stop_reply(ABORTED) if machine.crashed else None
        for cpu, place in enumerate(self._places() if self._breaks else []):
            if place != before[cpu] and "+" not in place and (kind := self._break_at(place)):
                self._cpu = cpu
                return True, self.stop_reply(TRAPPED, kind)
        for watch in self._watches.values():
            for address, size in stores:
                if address < watch.physical + watch.size and watch.physical < address + size:
                    where = watch.named + max(address - watch.physical, 0)
                    self._cpu = self._cpu_called(happened.actor)
                    return True, self.stop_reply(TRAPPED, f"watch:{where:x};")
        return True, None

    def _cpu_called(self, actor: str) -> int:
        """The CPU of this name; a store by something else is told of the CPU that was looked at."""
        kind, _, number = actor.partition(" ")
        return int(number) if kind == "CPU" and number.isdecimal() else self._cpu

    def _places(self) -> list[str]:
        return [self.machine.where(cpu) for cpu in range(self.machine.layout.config.cpus)]

    def _break_at(self, place: str) -> str | None:
        address = address_of(self.machine.layout, place)
        return next((kind for kind, at in self._breaks if at == address), None)


def _checked(place: int) -> int:
    """A physical address that is none of the simulation's own. Raises NoSuchMemory."""
    if place >= DEVICE_STATE:
        raise NoSuchMemory(f"there is no physical address {place:#x}")
    return place
