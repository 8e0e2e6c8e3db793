"""A QMP socket that is none: one clear error, in time. That it works with QEMU is shown by tests/live/test_lab.py."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live.qmp import Qmp

Serve = Callable[[bytes], Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Call it with what a peer says, for the path of its socket; then it says no more, and with b"" it hangs up."""
    path = tmp_path / "s"
    done = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def say(text: bytes) -> None:
        with listener.accept()[0] as peer:
            if text:
                peer.sendall(text)
                done.wait(10)

    threads: list[threading.Thread] = []

    def start(text: bytes) -> Path:
        threads.append(threading.Thread(target=say, args=(text,)))
        threads[-1].start()
        return path

    yield start
    done.set()
    for thread in threads:
        thread.join()
    listener.close()


SILENT = ("says nothing", "no answer to qmp_capabilities")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "was closed"),
        (b"\n", "not JSON"),
        (b"SSH-2.0-OpenSSH\r\n", "not JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"QMP": {"version": {"qemu": {"major": "x"}}}}\n', "greeting is not QEMU's"),
        (b"{}\n", "greeting is not QEMU's"),
        (b"\xff" * 2000 + b"\n", "not JSON"),
        (b'{"QMP": ', "says nothing"),
        (b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}\n', "no answer to qmp_capabilities"),
        (
            b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}\n{"error": {"desc": "no"}}\n',
            "refuses qmp_capabilities: no",
        ),
    ],
)
def test_a_peer_that_is_not_qmp(serve: Serve, text: bytes, said: str) -> None:
    began = time.monotonic()
    with pytest.raises(TargetError, match=said):
        Qmp(serve(text), timeout=2 if said in SILENT else 30)
    assert time.monotonic() - began < 30


def test_an_event_may_come_before_the_greeting(serve: Serve) -> None:
    greeting = b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}}\n'
    with Qmp(serve(b'{"event": "STOP"}\n' + greeting + b'{"return": {}}\n'), timeout=10) as qmp:
        assert qmp.version == (7, 2, 22)


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="No such file"):
        Qmp(tmp_path / "nobody")
    with pytest.raises(TargetError, match="too long"):
        Qmp("x" * 200)
