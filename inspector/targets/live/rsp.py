"""A few words of gdb's remote serial protocol: to know a stub before gdb attaches, and as the last resort.

QEMU's stub serves one debugger at a time and stops the machine when one connects; an abrupt close leaves it stopped,
and leaves the physical-memory mode as it is. QEMU up to 8.0 sends a stop reply on connect if, and only if, the machine
was running; later ones send none (QEMU commit 758370052fb, "gdbstub: only send stop-reply packets when allowed to").

Source: gdb manual, appendix "gdb Remote Serial Protocol"; QEMU docs/system/gdb.rst and its gdbstub.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from inspector.base.closing import Closing
from inspector.base.errors import TargetError
from inspector.targets.live import qemu_text
from structs.frozen import frozen

EXPECTED = "expected QEMU's gdb stub (QEMU's option -s, or -gdb tcp:127.0.0.1:PORT)"
LONGEST_PACKET = 1 << 16
LONGEST_ANSWER = 1 << 22
FIRST_SILENT_QEMU = (8, 1)
POKE_AFTER = 1.0
STUB_TAKES_NOTE = 2.0
"""Seconds that a stub may take to notice that its debugger has left."""
DETACH = b"D;1"
"""A stub that gdb has talked to speaks of processes and takes no bare D; all take this one."""


@frozen
class Address:
    """Where a stub listens: a TCP host and port, or the path of a unix socket (then `port` is 0)."""

    host: str
    port: int

    def __str__(self) -> str:
        """As gdb's `target remote` and people write it."""
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """`HOST:PORT`, `:PORT`, `PORT`, `[IPV6]:PORT`, or `unix:PATH` or a path with a slash for a unix socket.

        Raises:
            TargetError: it is none of these.
        """
        path = text.removeprefix("unix:")
        if path != text or "/" in text:
            if not path or not path.isprintable() or set(path) & set("\"'\\"):
                raise TargetError(f"{text!r} is no address of a gdb stub: gdb cannot be told such a path")
            # gdb takes what has no slash for something else.
            return cls(path if "/" in path else f"./{path}", 0)
        match = re.fullmatch(r"(?:tcp:)?(?:(?:\[([0-9A-Fa-f:.%]+)\]|([\w.-]*)):)?([0-9]{1,5})", text, re.ASCII)
        if not match or not 0 < int(match[3]) < 1 << 16:
            expected = "HOST:PORT, such as 127.0.0.1:1234, or unix:PATH"
            raise TargetError(f"{text!r} is no address of a gdb stub: expected {expected}")
        return cls(match[1] or match[2] or "127.0.0.1", int(match[3]))


@frozen
class Found:
    """How a stub's machine was found.

    `running` is None if it cannot be known: a QEMU from 8.1 on has stopped it before it answers. `physical` says that
    the stub already took addresses as physical ones.
    """

    running: bool | None
    physical: bool


class Conversation(Closing):
    """One connection to a stub: packets out, answers in, all within `timeout` seconds. Connecting stops the machine.

    `stop_replies` counts the stop replies that came by themselves.
    """

    def __init__(self, address: Address, timeout: float = 5.0, ours: bool = False) -> None:
        """Connect. `ours`: whoever was connected there before was of us, and has left; a stub that is itself stopped
        takes note of that later.

        Raises:
            TargetError: nobody listens there, or somebody is connected already.
        """
        self.address = address
        self.stop_replies = 0
        self._deadline = time.monotonic() + timeout
        self._timeout = timeout
        self._rest = b""
        self._asked = b""
        self._poked = False
        try:
            if not address.port:
                if not ours:
                    _check_free_path(address)
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._socket.settimeout(timeout)
                self._socket.connect(address.host)
            else:
                if not ours:
                    _check_free(address)
                self._socket = socket.create_connection((address.host, address.port), timeout)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionRefusedError as error:
            raise NobodyListens(f"nobody listens at {address}: {EXPECTED}") from error
        except (OSError, UnicodeError) as error:
            raise NobodyListens(
                f"{address} cannot be reached ({getattr(error, 'strerror', None) or error}): {EXPECTED}"
            ) from error

    def ask(self, packet: bytes) -> bytes:
        """The stub's answer to a packet; empty if the stub does not know it.

        Raises:
            TargetError: no answer in time, the connection ended, or what came is not the remote protocol.
        """
        self._send(packet)
        while (answer := self._packet())[:1] in b"TSWX" and answer:
            self.stop_replies += 1
        return answer

    def monitor(self, command: str) -> str | None:
        """What the stub's monitor prints for a command; None if it has no monitor or refuses.

        Raises:
            TargetError: as `ask`.
        """
        answer = self.ask(b"qRcmd," + command.encode().hex().encode())
        text = b""
        while answer.startswith(b"O") and answer != b"OK":
            text += _unhex(answer[1:])
            if len(text) > LONGEST_ANSWER:
                raise TargetError(f"{self.address} is no gdb stub: its monitor's answer to {command!r} never ends")
            answer = self._packet()
        if answer != b"OK" and (not answer or answer.startswith(b"E")):
            return None
        return (text + (b"" if answer == b"OK" else _unhex(answer))).decode("utf-8", "backslashreplace")

    def close(self) -> None:
        """Close the connection. A QEMU leaves its machine stopped."""
        self._socket.close()

    def say(self, packet: bytes) -> None:
        """Send a packet without waiting for the answer: a stub that is itself stopped reads it when it goes on."""
        with suppress(TargetError):
            self._write(framed(packet))

    def _send(self, packet: bytes) -> None:
        self._asked = packet
        self._write(framed(packet))

    def _write(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(data)
        except OSError as error:
            raise TargetError(f"{self.address} closed the connection: {EXPECTED}") from error

    def _packet(self) -> bytes:
        """The next packet's contents, acknowledged."""
        while True:
            self._rest = self._rest.lstrip(b"+-")
            if self._rest[:1] not in (b"", b"$"):
                raise TargetError(f"{self.address} is no gdb stub: it says {_shown(self._rest)}; {EXPECTED}")
            body, mark, tail = self._rest[1:].partition(b"#")
            if mark and len(tail) >= 2:
                self._rest = tail[2:]
                if tail[:2].lower() != b"%02x" % (sum(body) & 0xFF):
                    raise TargetError(f"{self.address} is no gdb stub: {_shown(body)} has a wrong checksum; {EXPECTED}")
                # Exactly one: a QEMU whose machine runs again takes any further byte as a wish to stop it.
                self._write(b"+")
                return body
            if len(self._rest) > LONGEST_PACKET:
                raise TargetError(f"{self.address} is no gdb stub: a packet of over {LONGEST_PACKET} bytes; {EXPECTED}")
            self._rest += self._receive()

    def _receive(self) -> bytes:
        data = None if self._poked else self._wait(POKE_AFTER)
        if data is None and not self._poked:
            self._poked = True
            if not self._rest and self._asked.startswith(b"q"):
                # Stubs skip bytes between packets; a server that reads lines answers them, and so tells what it is.
                self._write(b"\r\n\r\n")
        if data is None and (data := self._wait(self._timeout)) is None:
            raise Silent(
                f"{self.address} accepts a connection but does not answer: another debugger may be attached there, "
                f"or it is no gdb stub; {EXPECTED}"
            )
        if not data:
            raise TargetError(f"{self.address} closed the connection: {EXPECTED}")
        return data

    def _wait(self, seconds: float) -> bytes | None:
        """What comes within some seconds, and within the conversation's time; None if nothing, empty at the end."""
        try:
            self._socket.settimeout(max(min(seconds, self._deadline - time.monotonic()), 0.001))
            return self._socket.recv(1 << 16)
        except TimeoutError:
            return None
        except OSError as error:
            raise TargetError(f"{self.address} closed the connection ({error.strerror}): {EXPECTED}") from error


class NobodyListens(TargetError):
    """There is no stub to talk to (any more)."""


class Silent(TargetError):
    """A stub does not answer."""


def framed(packet: bytes) -> bytes:
    """A packet as it is on the wire."""
    return b"$" + packet + b"#%02x" % (sum(packet) & 0xFF)


def probe(address: Address, timeout: float = 5.0, resume: bool = True) -> Found:
    """How the machine behind a stub is found. Leaves it stopped, but if there is no answer: then it runs later on.

    Raises:
        TargetError: nobody or something else listens, or the stub cannot read physical memory.
    """
    with Conversation(address, timeout) as stub, _going_on(stub, resume):
        mode = stub.ask(b"qqemu.PhyMemMode")
        if mode not in (b"0", b"1"):
            raise TargetError(
                f"the gdb stub at {address} answers {_shown(mode)} to qqemu.PhyMemMode: "
                "expected a stub with a physical-memory mode, as QEMU's has from 4.1 on"
            )
        return Found(True if stub.stop_replies else _ran(stub), mode == b"1")


def restore(address: Address, physical: bool, resume: bool, timeout: float = 5.0) -> None:
    """Put a stub's physical-memory mode back, and let its machine run if `resume`.

    Raises:
        NobodyListens: the stub is gone.
        TargetError: it does not do as it is told.
    """
    with Conversation(address, timeout, ours=True) as stub, _going_on(stub, resume):
        for packet in (b"Qqemu.PhyMemMode:%d" % physical, *([DETACH] if resume else [])):
            answer = stub.ask(packet)
            if answer != b"OK":
                raise TargetError(f"the gdb stub at {address} answers {_shown(answer)} to {packet.decode()}")


@contextmanager
def _going_on(stub: Conversation, resume: bool) -> Iterator[None]:
    """A QEMU that is itself stopped takes the connection later, and stops its machine for it: then it is to go on."""
    try:
        yield
    except Silent:
        if resume:
            stub.say(DETACH)
        raise


def _ran(stub: Conversation) -> bool | None:
    """Whether a machine ran that sent no stop reply on connect."""
    status = qemu_text.status(stub.monitor("info status") or "")
    version = qemu_text.version(stub.monitor("info version") or "")
    if status not in (None, "running", "paused"):
        return False
    return False if version and version < FIRST_SILENT_QEMU else None


def _check_free(address: Address) -> None:
    """Raise TargetError if a local stub has its debugger already.

    To try would do harm: the attempt waits in QEMU's queue, and stops the machine when the other debugger has left.
    """
    try:
        resolved = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][4][0]
        if not ipaddress.ip_address(resolved).is_loopback:
            return
    except (OSError, ValueError):
        return
    states = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                next(lines)
                rows = [line.split(None, 4) for line in lines]
        except OSError:
            continue
        states |= {row[3] for row in rows if int(row[1].rpartition(":")[2], 16) == address.port}
    established, listening = "01", "0A"
    if {established, listening} <= states:
        raise TargetError(
            f"another debugger is connected to {address}, and a gdb stub serves one at a time: detach that one first"
        )


def _check_free_path(address: Address) -> None:
    """As `_check_free`, for a unix socket: whoever was accepted there is listed by the same path.

    So is one that has left, until the stub takes note of it.
    """
    deadline = time.monotonic() + STUB_TAKES_NOTE
    while _is_connected(address.host):
        if time.monotonic() > deadline:
            raise TargetError(
                f"another debugger is connected to {address}, and a gdb stub serves one at a time: "
                "detach that one first"
            )
        time.sleep(0.005)


def _is_connected(path: str) -> bool:
    # As who listens there has named it.
    names = {os.fsencode(path), os.fsencode(os.path.abspath(path))}
    listening, connected = b"01", b"03"
    states = set()
    try:
        with open("/proc/net/unix", "rb") as lines:
            for line in lines:
                row = line.split(None, 7)
                if len(row) == 8 and row[7].rstrip(b"\n") in names:
                    states.add(row[5])
    except OSError:
        return False
    return {listening, connected} <= states


def _unhex(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode("ascii"))
    except ValueError as error:
        raise TargetError(f"no gdb stub: {_shown(digits)} should be hexadecimal") from error


def _shown(data: bytes) -> str:
    """Foreign bytes, short and printable."""
    if not data:
        return "nothing"
    line = data.splitlines()[0][:60] if data.splitlines() else data[:60]
    return repr(line.decode("ascii", "backslashreplace"))
