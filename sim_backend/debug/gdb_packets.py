"""What a gdb remote stub answers to each packet, whatever the machine; no sockets here.

Memory that gdb reads is by Xen's virtual addresses, unless the physical-memory mode is on. That mode outlives
connections, as QEMU's does.

Source: the gdb manual, "Remote Serial Protocol"; QEMU gdbstub (`Qqemu.PhyMemMode`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

from sim_backend.debug.gdb_registers import all_registers, one_register, target_description
from sim_backend.memory.memory import PAGE

PACKET_SIZE = 0x1000
LONGEST_READ = PACKET_SIZE // 2
CONSOLE_PIECE = 1000
INTERRUPTED, TRAPPED, ABORTED = 2, 5, 6

BAD, FAULT, REFUSED = "E16", "E0e", "E01"
"""EINVAL: the packet makes no sense; EFAULT: no such memory; EPERM: this stub does not do that."""


class NoSuchMemory(Exception):
    """There is nothing at an address."""


class PacketStub(ABC):
    """One machine's stub. `send` in `answer` takes the contents of a packet, to be sent before the answer.

    Attributes:
        cpus: how many CPUs there are; gdb knows them as threads, from 1 on.
        physical: whether the physical-memory mode is on.
    """

    cpus: int

    def __init__(self) -> None:
        self.physical = False
        self._cpu = 0
        self._handlers: dict[str, Callable[[str], str]] = {
            "?": lambda rest: self.stop_reply(TRAPPED),
            "g": lambda rest: all_registers(self.registers(self._cpu)),
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

    @abstractmethod
    def registers(self, cpu: int) -> Mapping[str, int]:
        """What is known of a CPU's registers, by `gdb_registers`' names."""

    @abstractmethod
    def describe(self, cpu: int) -> str:
        """What gdb's `info threads` shows of a CPU."""

    @abstractmethod
    def place(self, address: int) -> int:
        """The physical address of a virtual one of Xen's. Raises NoSuchMemory."""

    @abstractmethod
    def read(self, place: int, size: int) -> bytes:
        """Physical memory, within a page. Raises NoSuchMemory."""

    @abstractmethod
    def write(self, pieces: list[tuple[int, int]], data: bytes) -> str:
        """The answer to a wish to write to physical memory, after having done so or not."""

    @abstractmethod
    def point(self, kind: str, address: int, size: int, insert: bool) -> str:
        """The answer to a wish to set or take away a breakpoint (0, 1) or a write watchpoint (2)."""

    @abstractmethod
    def monitor(self, command: str) -> str:
        """What the monitor prints."""

    @abstractmethod
    def attached(self, running: bool) -> bool:
        """A debugger has come, and the machine stands still; whether it ran.

        Args:
            running: whether the server was to let it run.
        """

    @abstractmethod
    def detached(self, resume: bool) -> None:
        """The debugger has gone; whether the machine is to run."""

    @abstractmethod
    def step(self) -> str:
        """Do one step of the chosen CPU; the stop reply."""

    @abstractmethod
    def run(self, count: int) -> tuple[str | None, bool]:
        """Run for a moment: the stop reply if something was hit or it crashed; whether there is more to do.

        Args:
            count: so many steps, where a machine counts them.
        """

    @abstractmethod
    def halt(self) -> None:
        """Let it stand still after `run`."""

    @property
    @abstractmethod
    def crashed(self) -> str | None:
        """Why the machine cannot go on, if so."""

    def answer(self, packet: str, send: Callable[[str], None]) -> str:
        """The answer to a packet that neither resumes the machine nor ends the connection; empty: not known."""
        try:
            if packet.startswith(("q", "Q", "v")):
                return self._query(packet, send)
            handler = self._handlers.get(packet[:1])
            return handler(packet[1:]) if handler else ""
        except ValueError:
            return BAD
        except NoSuchMemory:
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

    def stop_reply(self, signal: int, why: str = "") -> str:
        """Why the machine stopped, and on which CPU."""
        return f"T{signal:02x}{why}thread:{self._cpu + 1:02x};"

    def _thread(self, text: str) -> int | None:
        """The CPU that a thread-id names, counted from 1 there; None for any, all, or one that is not there."""
        text = text.rpartition(".")[2]
        cpu = int(text, 16) - 1 if text and text != "-1" else -1
        return cpu if 0 <= cpu < self.cpus else None

    def _choose(self, rest: str) -> str:
        cpu = self._thread(rest[1:])
        if cpu is not None:
            self._cpu = cpu
        elif rest[1:] not in ("0", "-1"):
            return BAD
        return "OK"

    def _one_register(self, rest: str) -> str:
        return one_register(self.registers(self._cpu), int(rest, 16)) or BAD

    def _read(self, rest: str) -> str:
        address, size = _numbers(rest)
        data = b""
        try:
            for place, length in self._pieces(address, min(size, LONGEST_READ)):
                data += self.read(place, length)
        except NoSuchMemory:
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
        return self.write(list(self._pieces(address, size)), data)

    def _pieces(self, address: int, size: int) -> Iterator[tuple[int, int]]:
        """The physical ranges behind an address of gdb's, page by page. Raises NoSuchMemory."""
        while size > 0:
            length = min(size, PAGE - address % PAGE)
            yield self._place(address), length
            address += length
            size -= length

    def _place(self, address: int) -> int:
        return address if self.physical else self.place(address)

    def _point(self, rest: str, insert: bool) -> str:
        address, size = _numbers(rest[2:].partition(";")[0])
        return self.point(rest[:1], address, size, insert)

    def _query(self, packet: str, send: Callable[[str], None]) -> str:
        name, _, rest = packet.partition(":")
        threads = range(1, self.cpus + 1)
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
            return BAD if cpu is None else f"CPU#{cpu} [{self.describe(cpu)}]".encode().hex()
        if packet.startswith("qRcmd,"):
            return self._monitor(packet[6:], send)
        return ""

    def _monitor(self, digits: str, send: Callable[[str], None]) -> str:
        command = bytes.fromhex(digits).decode("ascii", "replace")
        text = self.monitor(command)
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
