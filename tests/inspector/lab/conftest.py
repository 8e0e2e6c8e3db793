"""A process that stands in for a lab's QEMU: it has the console's path on its command line, and answers its monitor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROGRAM = """
import json, socket, sys, time
mark, control, status = sys.argv[1:4]
if not control:
    print(flush=True)
    time.sleep(600)
listener = socket.socket(socket.AF_UNIX)
listener.bind(control)
listener.listen()
print(flush=True)
version = {"qemu": {"major": 7, "minor": 2, "micro": 0}}
while True:
    peer = listener.accept()[0].makefile("rw")
    print(json.dumps({"QMP": {"version": version}}), file=peer, flush=True)
    for line in peer:
        asked = json.loads(line)["execute"]
        answer = {"status": status, "running": status == "running"} if asked == "query-status" else {}
        print(json.dumps({"return": answer}), file=peer, flush=True)
        if asked == "quit":
            sys.exit()
"""

StandIn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Call it with a console's path, and a socket's for its monitor, which says this status; it runs then."""
    started: list[subprocess.Popen[bytes]] = []

    def start(console: Path, control: Path | str = "", status: str = "running") -> subprocess.Popen[bytes]:
        words = [sys.executable, "-S", "-c", PROGRAM, f"x,logfile={console}", str(control), status]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE))
        assert started[-1].stdout
        started[-1].stdout.readline()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
