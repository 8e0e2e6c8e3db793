"""The raw conversation against what really listens where a stub should: nobody, a web server, silence, a banner."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.targets.live import rsp
from inspector.targets.live.rsp import Address


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A server that does `serve` with one connection at a time."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with closing(connection), suppress(OSError):
                    serve(connection)

        threading.Thread(target=run, daemon=True).start()
        yield Address(*server.getsockname())
        server.shutdown(socket.SHUT_RDWR)


def complaint(address: Address, timeout: float = 20.0) -> str:
    began = time.monotonic()
    with pytest.raises(TargetError) as caught:
        rsp.probe(address, timeout)
    assert time.monotonic() - began < timeout + 30
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:1234", "127.0.0.1:1234"),
        ("tcp:localhost:1", "localhost:1"),
        (":1234", "127.0.0.1:1234"),
        ("1234", "127.0.0.1:1234"),
        ("unix:/run/a b/gdb", "/run/a b/gdb"),
        ("unix:gdb", "./gdb"),
        ("./gdb", "./gdb"),
        ("[::1]:65535", "[::1]:65535"),
        ("/run/qemu/gdb.sock", "/run/qemu/gdb.sock"),
    ],
)
def test_addresses(text: str, expected: str) -> None:
    assert str(Address.parse(text)) == expected


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:0", "host:65536", "a b:1", "h:1\n2", "/a\n/b", "::1:1", "-:x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(TargetError, match="no address of a gdb stub"):
        Address.parse(text)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(rsp.NobodyListens, match="nobody listens"):
        rsp.probe(Address("127.0.0.1", port))


def test_no_such_host_and_no_such_socket(tmp_path: object) -> None:
    assert "cannot be reached" in complaint(Address("no-such-host.invalid", 1234), 10)
    assert "cannot be reached" in complaint(Address(f"{tmp_path}/none", 0))


def test_a_web_server() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = complaint(Address("127.0.0.1", server.server_port), 20)
        server.shutdown()
    assert "no gdb stub: it says" in said


def test_a_banner_is_quoted() -> None:
    with listener(lambda c: c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as address:
        assert "no gdb stub: it says 'SSH-2.0-OpenSSH_9.2'" in complaint(address)


def test_silence() -> None:
    with listener(lambda c: time.sleep(5)) as address:
        assert "another debugger may be attached" in complaint(address, 1.5)


def test_it_hangs_up() -> None:
    with listener(lambda c: None) as address:
        assert "closed the connection" in complaint(address)


def test_a_drip_of_bytes_ends_in_time() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"$")
        for _ in range(100):
            time.sleep(0.05)
            connection.sendall(b"0")

    with listener(drip) as address:
        assert "does not answer" in complaint(address, 1.0)


def test_an_endless_packet() -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"$" + b"0" * 4096)

    with listener(flood) as address:
        assert "a packet of over" in complaint(address)


def test_a_stub_without_the_mode() -> None:
    """What a stub answers to a query it does not know: the empty packet."""

    def serve(connection: socket.socket) -> None:
        connection.recv(99)
        connection.sendall(b"+$#00")
        connection.recv(99)

    with listener(serve) as address:
        assert "expected a stub with a physical-memory mode" in complaint(address)


def test_a_wrong_checksum() -> None:
    with listener(lambda c: c.sendall(b"+$1#00")) as address:
        assert "wrong checksum" in complaint(address)


def test_a_second_debugger_is_not_tried() -> None:
    """It would wait in the queue and stop the machine later."""
    accepted = []

    def serve(connection: socket.socket) -> None:
        accepted.append(connection)
        connection.recv(1)

    with listener(serve) as address:
        with socket.create_connection((address.host, address.port)) as first:
            assert "serves one at a time" in complaint(address)
            first.sendall(b"x")
        time.sleep(0.1)
    assert len(accepted) == 1


WORDS = [b"+", b"-", b"$", b"#", b"T02thread:01;", b"O41", b"OK", b"30", b"1", b"\x00", b"\xff", b"$1#31", b"$0#30"]


@given(st.lists(st.sampled_from(WORDS)).map(b"".join))
def test_no_answer_is_too_strange(answer: bytes) -> None:
    with listener(lambda c: c.sendall(answer)) as address, suppress(TargetError):
        assert rsp.probe(address, 0.5).physical == (b"$1#31" in answer.partition(b"$0#30")[0])
