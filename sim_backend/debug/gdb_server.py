"""A gdb remote stub's connections: one debugger at a time, as QEMU's.

The machine stops when a debugger connects, and runs when it detaches. If the connection just ends, it stays stopped.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from select import select
from types import TracebackType
from typing import Self

from sim_backend.debug.gdb_packets import INTERRUPTED, PACKET_SIZE, PacketStub
from sim_backend.debug.gdb_stub import Driven, Stub
from sim_backend.memory.errors import SimError

STEPS_AT_ONCE = 4001
"""Steps between two looks at the connection: some 20 milliseconds. Much less, and other threads of this process starve:
CPython lets them in when they have waited for 5 ms, and begins to count anew at each look. A prime, so that a machine
that repeats itself is not stopped at the same point each time."""

INTERRUPT = b"\x03"
CHECKSUM = 2
LONGEST = 4 * PACKET_SIZE


class Gone(Exception):
    """The debugger has closed the connection, or does not speak the protocol."""


class StubServer:
    """Serves one machine's stub. Use as a context manager.

    Args:
        stub: what to serve.
        listener: where; it is closed at the end.
        address: how gdb is told of it.
        running: whether the machine runs while no debugger has been here.
    """

    def __init__(self, stub: PacketStub, listener: socket.socket, address: str, running: bool = False) -> None:
        self.running = running
        self.address = address
        self._stub = stub
        self._done = False
        self._listener = listener
        # One that ends a wait for packets from another thread.
        self._wake, self._woken = socket.socketpair()

    def serve(self) -> None:
        """Serve one debugger after the other, until `stop`."""
        while not self._done:
            if self._readable(self._listener, self.running):
                connection, _ = self._listener.accept()
                with connection, suppress(Gone, OSError):
                    self._serve_one(connection)
            elif self.running and not self._done:
                self.running = self._stub.run(STEPS_AT_ONCE)[1]

    def stop(self) -> None:
        """Let `serve` return soon. May be called from another thread."""
        self._done = True
        self._wake.send(b"!")

    def close(self) -> None:
        """Close the listener."""
        for one in (self._listener, self._wake, self._woken):
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _readable(self, what: socket.socket, at_once: bool) -> bool:
        return what in select([what, self._woken], [], [], 0 if at_once else None)[0]

    def _serve_one(self, connection: socket.socket) -> None:
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        was_running, self.running = self._stub.attached(self.running), False
        try:
            self._talk(connection, was_running)
        finally:
            self._stub.detached(self.running)

    def _talk(self, connection: socket.socket, was_running: bool) -> None:
        line = _Line(connection)
        if was_running:
            line.send(self._stub.stop_reply(INTERRUPTED))
        while not self._done:
            if not line.waiting and not self._readable(connection, False):
                continue
            packet = line.receive()
            if packet is None:
                continue
            if packet[:1] == "D":
                line.send("OK")
                self.running = True
                return
            if packet == "k" or packet.startswith("vKill"):
                if packet != "k":
                    line.send("OK")
                return
            self._do(packet, line)

    def _do(self, packet: str, line: _Line) -> None:
        one_step = self._stub.resume(packet)
        if one_step is None:
            line.send(self._stub.answer(packet, line.send))
        elif one_step:
            line.send(self._stub.step())
        else:
            line.send(self._run(line))

    def _run(self, line: _Line) -> str:
        """Run until something is hit or the debugger wants a stop; the stop reply."""
        try:
            return self._run_until_stopped(line)
        finally:
            self._stub.halt()

    def _run_until_stopped(self, line: _Line) -> str:
        more = True
        while not self._done:
            if more:
                hit, more = self._stub.run(STEPS_AT_ONCE)
                if hit:
                    self._tell_why(line)
                    return hit
            if self._readable(line.connection, more) and line.interrupted():
                break
        return self._stub.stop_reply(INTERRUPTED)

    def _tell_why(self, line: _Line) -> None:
        """Show in gdb why the machine cannot go on, if so."""
        if why := self._stub.crashed:
            line.send("O" + f"the machine cannot go on: {why}\n".encode().hex())


class GdbServer(StubServer):
    """Serves a simulated machine on a loopback address.

    Args:
        machine: what to serve.
        host, port: a loopback address; port 0 takes a free one.
        running: whether the machine runs while no debugger has been here.

    Attributes:
        address: `HOST:PORT` where it listens.
        running: whether the machine runs while no debugger is connected.

    Raises:
        SimError: the address is not a loopback one, or is in use.
    """

    def __init__(self, machine: Driven, host: str = "127.0.0.1", port: int = 0, running: bool = False) -> None:
        try:
            host = "127.0.0.1" if host == "localhost" else host
            if not ipaddress.ip_address(host).is_loopback:
                raise SimError(f"{host} is not a loopback address, and a debugger may do anything; use 127.0.0.1")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family)
        except (OSError, OverflowError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise SimError(f"{host}:{port} cannot be listened on: {why}; choose another port") from None
        port = listener.getsockname()[1]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(Stub(machine), listener, address, running)


class _Line:
    """One connection: packets with checksums and acknowledgements. Its methods raise Gone, or OSError."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""
        self._last = b""

    @property
    def waiting(self) -> bool:
        """Whether a whole packet has been received that was not looked at yet."""
        _, mark, tail = self._rest.partition(b"#")
        return bool(mark) and len(tail) >= CHECKSUM

    def send(self, content: str) -> None:
        """Send a packet."""
        raw = content.encode("latin-1")
        self._last = b"$" + raw + b"#%02x" % (sum(raw) & 0xFF)
        self.connection.sendall(self._last)

    def receive(self) -> str | None:
        """The next packet's contents, acknowledged; None if what came is none, or not all of one."""
        if not self.waiting:
            self._take()
        self._rest = self._rest.lstrip(b"+" + INTERRUPT)
        if self._rest.startswith(b"-"):
            self._rest = self._rest[1:]
            self.connection.sendall(self._last)
            return None
        if self._rest and not self._rest.startswith(b"$"):
            at = self._rest.find(b"$")
            self._rest = self._rest[at:] if at >= 0 else b""
        body, mark, tail = self._rest.partition(b"#")
        if not mark or len(tail) < CHECKSUM:
            return None
        self._rest = tail[CHECKSUM:]
        if tail[:CHECKSUM].lower() != b"%02x" % (sum(body[1:]) & 0xFF):
            self.connection.sendall(b"-")
            return None
        self.connection.sendall(b"+")
        return body[1:].decode("latin-1")

    def interrupted(self) -> bool:
        """Whether the debugger wants the machine to stop: it sends an interrupt, or a packet."""
        self._take()
        self._rest = self._rest.lstrip(b"+")
        stop = bool(self._rest)
        self._rest = self._rest.removeprefix(INTERRUPT)
        return stop

    def _take(self) -> None:
        data = self.connection.recv(1 << 16)
        if not data or len(self._rest) > LONGEST:
            raise Gone
        self._rest += data
