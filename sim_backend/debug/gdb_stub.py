"""What a gdb remote stub answers to each packet, on a simulated machine; no sockets here.

Memory is Xen's: virtual addresses go through `idle_pg_table`, whatever a CPU has loaded, unless the physical-memory
mode is on. That mode outlives connections, as QEMU's does. A breakpoint is hit when a CPU enters the function at its
address, a write watchpoint when a step stores there.

Source: the gdb manual, "Remote Serial Protocol"; QEMU gdbstub (`Qqemu.PhyMemMode`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sim_backend.debug import gdb_monitor
from sim_backend.debug.gdb_registers import all_registers, one_register, target_description
from sim_backend.layout.interrupts import DEVICE_STATE
from sim_backend.layout.page_tables import translate
from sim_backend.machine.registers import GUEST, IDLE, Placed, address_of, registers
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE

PACKET_SIZE = 0x1000
LONGEST_READ = PACKET_SIZE // 2
CONSOLE_PIECE = 1000
LONGEST_STEP = 10_000
INTERRUPTED, TRAPPED, ABORTED = 2, 5, 6

NOWHERE = (GUEST, IDLE)
BAD, FAULT, REFUSED = "E16", "E0e", "E01"
"""EINVAL: the packet makes no sense; EFAULT: no such memory; EPERM: this stub does not do that."""


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


@dataclass(frozen=True)
class Watch:
    """A write watchpoint: the address that gdb named, and where that is."""

    named: int
    physical: int
    size: int


class Stub:
    """One machine's stub. `send` in `answer` and `run` takes the contents of a packet, to be sent before the answer."""

    def __init__(self, machine: Driven) -> None:
        self.machine = machine
        self.physical = False
        self._breaks: dict[tuple[str, int], None] = {}
        self._watches: dict[tuple[int, int], Watch] = {}
        self._cpu = 0
        self._handlers: dict[str, Callable[[str], str]] = {
            "?": lambda rest: self.stop_reply(TRAPPED),
            "g": lambda rest: all_registers(registers(self.machine, self._cpu)),
            "p": self._one_register,
            "m": self._read,
            "M": self._write,
            "H": self._choose,
            "T": lambda rest: "OK" if self._thread(rest) is not None else REFUSED,
            "Z": lambda rest: self._point(rest, True),
            "z": lambda rest: self._point(rest, False),
            "G": lambda rest: REFUSED,
            "P": lambda rest: REFUSED,
        }

    def new_connection(self) -> None:
        """Forget what the last debugger had set, but not the memory mode."""
        self._breaks.clear()
        self._watches.clear()
        self._cpu = 0

    def answer(self, packet: str, send: Callable[[str], None]) -> str:
        """The answer to a packet that neither resumes the machine nor ends the connection; empty: not known."""
        try:
            if packet.startswith(("q", "Q", "v")):
                return self._query(packet, send)
            handler = self._handlers.get(packet[:1])
            return handler(packet[1:]) if handler else ""
        except ValueError:
            return BAD
        except SimError:
            return FAULT

    def resume(self, packet: str) -> bool | None:
        """Whether a packet asks for one step (True) or to run on (False); None if it asks for neither.

        A signal that is to be delivered is ignored: there are none.
        """
        if packet.startswith("vCont;"):
            first = packet[6:7]
        else:
            first = packet[:1] if len(packet) < 2 or packet[0] in "CS" else ""
        if first in ("s", "S"):
            try:
                thread = self._thread(packet.partition(":")[2].partition(";")[0])
            except ValueError:
                return None
            self._cpu = self._cpu if thread is None else thread
            return True
        return False if first in ("c", "C") else None

    def step(self) -> str:
        """Do one step; the stop reply. A CPU that is about to begin a function does begin it: so gdb, which steps from
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
        """Do up to `count` steps: the stop reply if one hit something or it crashed; whether there is more to do."""
        for _ in range(count):
            more, hit = self._watched_step()
            if hit or not more:
                return hit, more
        return None, True

    def stop_reply(self, signal: int, why: str = "") -> str:
        """Why the machine stopped, and on which CPU."""
        return f"T{signal:02x}{why}thread:{self._cpu + 1:02x};"

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

    def _thread(self, text: str) -> int | None:
        """The CPU that a thread-id names, counted from 1 there; None for any, all, or one that is not there."""
        text = text.rpartition(".")[2]
        cpu = int(text, 16) - 1 if text and text != "-1" else -1
        return cpu if 0 <= cpu < self.machine.layout.config.cpus else None

    def _choose(self, rest: str) -> str:
        cpu = self._thread(rest[1:])
        if cpu is not None:
            self._cpu = cpu
        elif rest[1:] not in ("0", "-1"):
            return BAD
        return "OK"

    def _one_register(self, rest: str) -> str:
        return one_register(registers(self.machine, self._cpu), int(rest, 16)) or BAD

    def _read(self, rest: str) -> str:
        address, size = _numbers(rest)
        data = b""
        try:
            for place, length in self._pieces(address, min(size, LONGEST_READ)):
                data += self.machine.layout.memory.read(place, length)
        except SimError:
            # gdb takes what comes before a hole, and asks again for the rest.
            if not data:
                raise
        return data.hex()

    def _write(self, rest: str) -> str:
        where, _, digits = rest.partition(":")
        address, size = _numbers(where)
        data = bytes.fromhex(digits)
        if len(data) != size:
            return BAD
        memory, pieces = self.machine.layout.memory, list(self._pieces(address, size))
        if not all(memory.has(place, length) for place, length in pieces):
            return FAULT
        for place, length in pieces:
            memory.write(place, data[:length])
            data = data[length:]
        return "OK"

    def _pieces(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        """The physical ranges behind an address of gdb's, page by page. Raises SimError."""
        while size > 0:
            length = min(size, PAGE - address % PAGE)
            yield self._place(address), length
            address += length
            size -= length

    def _place(self, address: int) -> int:
        layout = self.machine.layout
        place = address if self.physical else translate(layout.memory, layout.symbol("idle_pg_table"), address)
        if place >= DEVICE_STATE:
            raise SimError(f"there is no physical address {place:#x}")
        return place

    def _point(self, rest: str, insert: bool) -> str:
        kind, where = rest[:1], rest[2:].partition(";")[0]
        address, size = _numbers(where)
        if kind in ("0", "1"):
            key = ("swbreak:;" if kind == "0" else "hwbreak:;", address)
            self._breaks.update({key: None}) if insert else self._breaks.pop(key, None)
        elif kind == "2":
            if insert:
                self._watches[address, size] = Watch(address, self._place(address), size)
            else:
                self._watches.pop((address, size), None)
        else:
            return ""
        return "OK"

    def _query(self, packet: str, send: Callable[[str], None]) -> str:
        name, _, rest = packet.partition(":")
        threads = range(1, self.machine.layout.config.cpus + 1)
        match name:
            case "qSupported":
                return f"PacketSize={PACKET_SIZE:x};qXfer:features:read+;swbreak+;hwbreak+;vContSupported+"
            case "qXfer":
                return _description(rest)
            case "qqemu.PhyMemMode":
                return str(int(self.physical))
            case "Qqemu.PhyMemMode" if rest in ("0", "1"):
                self.physical = rest == "1"
                return "OK"
            case "qC":
                return f"QC{self._cpu + 1:02x}"
            case "qAttached":
                return "1"
            case "qfThreadInfo":
                return "m" + ",".join(f"{thread:02x}" for thread in threads)
            case "qsThreadInfo":
                return "l"
            case "vCont?":
                return "vCont;c;C;s;S"
        if packet.startswith("qThreadExtraInfo,"):
            cpu = self._thread(packet.partition(",")[2])
            return BAD if cpu is None else f"CPU#{cpu} [{self.machine.where(cpu)}]".encode().hex()
        if packet.startswith("qRcmd,"):
            return self._monitor(packet[6:], send)
        return ""

    def _monitor(self, digits: str, send: Callable[[str], None]) -> str:
        command = bytes.fromhex(digits).decode("ascii", "replace")
        text = gdb_monitor.answer(self.machine.layout, command)
        for at in range(0, len(text), CONSOLE_PIECE):
            send("O" + text[at : at + CONSOLE_PIECE].encode().hex())
        return "OK"


def _numbers(text: str) -> tuple[int, int]:
    """`ADDRESS,SIZE` in hex. Raises ValueError."""
    address, _, size = text.partition(",")
    return int(address, 16), int(size, 16)


def _description(rest: str) -> str:
    """A piece of the target description; the one document there is."""
    document, _, where = rest.removeprefix("features:read:").partition(":")
    if document != "target.xml":
        return "E00"
    offset, size = _numbers(where)
    whole = target_description().decode()
    piece = whole[offset : offset + min(size, LONGEST_READ)]
    return ("m" if offset + len(piece) < len(whole) else "l") + piece
