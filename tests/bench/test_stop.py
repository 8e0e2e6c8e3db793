"""How long `info` stops a live machine, of a known Xen, an unknown one, and with an older vtdpi. Printed, not judged.

Times of the stop are QEMU's own, by its events. What it costs is also told in a form that other work on the machine
does not change: CPU time of vtdpi and of QEMU, and round trips. The best of the rounds counts. Aims: an unknown Xen is
found in at most 500 ms, with the guest stopped for at most 100 ms; a known one no slower than before.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from inspector.lab import Missing
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.qmp import Qmp

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
BEFORE = "9e7fa84"
ROUNDS = 5
INFO = """
import sys, time
from inspector.cli import main
status = main(sys.argv[2:])
print("MEASURED", 0, 0, 0, 0, 1e3 * time.process_time(), file=sys.stderr)
sys.exit(status)
"""
MEASURED = """
import sys, time
from inspector.capture import ahead
from inspector.frontends import target_words
from inspector.frontends.cli import main
from inspector.profiles import places, store
from inspector.targets.live import rsp
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.mi import Gdb
from inspector.targets.live.qmp import Qmp

trips, found, stop = 0, [0, 0], [0, 0, 0]

def counted(kind, name):
    does = getattr(kind, name)
    def counting(*given, **named):
        global trips
        trips += 1
        return does(*given, **named)
    setattr(kind, name, counting)

def looking(*given, look=ahead.look_ahead):
    began = time.perf_counter(), time.process_time()
    try:
        return look(*given)
    finally:
        found[:] = time.perf_counter() - began[0], time.process_time() - began[1]

def probing(*given, probe=rsp.probe, **named):
    stop[:] = time.process_time(), trips, 0
    return probe(*given, **named)

def closing(self, close=GdbMi._close):
    close(self)
    stop[:] = time.process_time() - stop[0], trips - stop[1], 1

if sys.argv[1] == "hidden":
    store.known = lambda: iter(())
    places.installed = lambda build_id: None
counted(Gdb, "try_all")
counted(Qmp, "execute")
ahead.look_ahead, rsp.probe, GdbMi._close = looking, probing, closing
status = main(sys.argv[2:])
cpu = 1e3 * time.process_time()
print("MEASURED", 1e3 * found[0], 1e3 * found[1], 1e3 * stop[0], stop[1], cpu, file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        try:
            one = Lab.up(Recipe(xen="4.20"))
        except Missing as error:
            pytest.skip(str(error))
        with one:
            yield one


@pytest.fixture
def address(lab: Lab) -> str:
    """The stub moved to loopback: the older one takes for an address only what has a colon."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    with Qmp(lab.control) as qmp:
        for device in ("none", f"tcp:{place}"):
            qmp.execute("human-monitor-command", {"command-line": f"gdbserver {device}"})
    return place


@pytest.fixture
def before(tmp_path: Path) -> Path | None:
    """The tree of an older vtdpi, if this clone has it."""
    archive = tmp_path / "before.tar"
    done = subprocess.run(["git", "archive", "-o", str(archive), BEFORE], cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        return None
    shutil.unpack_archive(archive, tmp_path / "before")
    return tmp_path / "before"


def measured(lab: Lab, address: str, root: Path, script: str, how: str) -> list[float]:
    """Milliseconds stopped, of QEMU's CPU time, and what a script measures."""
    words = [sys.executable, "-c", script, how, "live", address, "--qmp", str(lab.qmp), "info"]
    with Qmp(lab.control) as qmp:
        busy = cpu_of(lab.pid)
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
        busy = cpu_of(lab.pid) - busy
        assert done.returncode == 0, done.stderr
        stopped = stops(qmp)
    return [stopped, busy, *map(float, re.search("MEASURED (.*)", done.stderr)[1].split())]


def cpu_of(pid: int) -> float:
    """Milliseconds of CPU time that a process has taken, all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def stops(qmp: Qmp) -> float:
    """Milliseconds for which QEMU's events since the connection say that the machine stood still."""
    qmp._socket.sendall(json.dumps({"execute": "query-status"}).encode() + b"\n")
    total = since = 0.0
    while "return" not in (message := qmp._message(time.monotonic() + qmp.timeout, "no answer")):
        at = message["timestamp"]["seconds"] * 1e3 + message["timestamp"]["microseconds"] / 1e3
        if message["event"] == "STOP":
            since = at
        elif message["event"] == "RESUME":
            total += at - since
    return total


def test_a_stop(lab: Lab, address: str, before: Path | None, capsys: pytest.CaptureFixture[str]) -> None:
    kinds: dict[str, tuple[Path, str, str]] = {
        "unknown": (ROOT, MEASURED, "hidden"),
        "known": (ROOT, MEASURED, "known"),
    }
    if before:
        kinds[f"known, {BEFORE}"] = (before, INFO, "known")
    rows: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, (root, script, how) in kinds.items():
            rows[name].append(measured(lab, address, root, script, how))
    with capsys.disabled():
        print(
            "\n`info` through QMP (ms)  stopped  QEMU's CPU  found in  of CPU  CPU in the stop  round trips  CPU in all"
        )
        for name, taken in rows.items():
            print(f"{name:23}" + line([min(column) for column in zip(*taken, strict=True)]))


def line(best: Sequence[float]) -> str:
    return "".join(f"{value:{width}.0f}" for value, width in zip(best, (9, 12, 10, 8, 17, 13, 12), strict=True))
