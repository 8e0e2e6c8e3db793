"""A held process goes on when nobody holds it any more, and not before."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live.bochs_hold import BochsHold

HOLDER = """
import sys
from pathlib import Path
from inspector.targets.live.bochs_hold import BochsHold
hold = BochsHold(int(sys.argv[1]), Path(sys.argv[2]))
hold.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "debugger.log"
    path.touch()
    return path


@pytest.fixture
def held() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def wait_until(process: subprocess.Popen[bytes], stopped: bool) -> None:
    deadline = time.monotonic() + 20
    while is_stopped(process) != stopped:
        assert time.monotonic() < deadline
        time.sleep(0.001)


BUSY = """
import threading
for _ in range(3):
    threading.Thread(target=lambda: all(True for _ in iter(int, 1)), daemon=True).start()
print("busy", flush=True)
input()
"""


def test_it_stands_still_once_it_is_taken(answers: Path) -> None:
    """All of its threads, and at once: what is read next is of one moment."""
    words = [sys.executable, "-c", BUSY]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        hold = BochsHold(process.pid, answers)
        for _ in range(20):
            hold.take()
            states = [
                stat.read_text().rpartition(")")[2].split()[0]
                for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")
            ]
            assert states == ["T"] * 4
            hold.release()
        process.kill()


def test_the_last_of_two_lets_it_go_on(held: subprocess.Popen[bytes], answers: Path) -> None:
    first, second = BochsHold(held.pid, answers), BochsHold(held.pid, answers)
    first.take()
    second.take()
    wait_until(held, stopped=True)
    first.release()
    first.recover()
    assert is_stopped(held)
    second.release()
    wait_until(held, stopped=False)


def test_it_recovers_from_a_holder_that_was_killed(held: subprocess.Popen[bytes], answers: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(held.pid), str(answers)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        wait_until(held, stopped=True)
        BochsHold(held.pid, answers).recover()
        assert is_stopped(held)
        holder.kill()
    assert is_stopped(held)
    BochsHold(held.pid, answers).recover()
    wait_until(held, stopped=False)


def test_one_that_is_gone_is_one_line(held: subprocess.Popen[bytes], answers: Path) -> None:
    hold = BochsHold(held.pid, answers)
    held.kill()
    held.wait()
    with pytest.raises(TargetError, match="is gone"):
        hold.take()
    with pytest.raises(TargetError, match="cannot be opened"):
        BochsHold(held.pid, answers.with_name("none"))
