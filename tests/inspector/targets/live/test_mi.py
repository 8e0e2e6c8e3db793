"""A real gdb over MI, attached to nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.base.errors import TargetError
from inspector.targets.live.mi import Gdb, GdbRefused

ROOT = Path(__file__).parents[4]

pytestmark = pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is missing: install the package gdb")


@pytest.fixture
def gdb() -> Iterator[Gdb]:
    one = Gdb(timeout=10)
    yield one
    one.close()
    assert not Path(f"/proc/{one.pid}").exists()


def test_replies_are_matched_to_their_commands(gdb: Gdb) -> None:
    replies = gdb.try_all([f"echo {n}\\n" for n in range(500)])
    assert [reply.output for reply in replies] == [f"{n}\n" for n in range(500)]


@pytest.mark.thorough
def test_a_batch_larger_than_the_pipes(gdb: Gdb) -> None:
    long = "x" * 3000
    assert [r.output for r in gdb.try_all([f'printf "{long}"'] * 200)] == [long] * 200


def test_one_refusal_does_not_touch_its_neighbours(gdb: Gdb) -> None:
    first, second, third = gdb.try_all(["echo a", "no-such-command", "echo b"])
    assert (first.output, first.error, third.output, third.error) == ("a", None, "b", None)
    assert second.error is not None
    assert "Undefined command" in second.error
    with pytest.raises(GdbRefused, match="gdb refuses 'no-such-command': Undefined command"):
        gdb.ask_all(["echo a", "no-such-command"])


def test_payloads_are_pygdbmis(gdb: Gdb) -> None:
    assert gdb.ask("-data-evaluate-expression 6*7").payload == {"value": "42"}


def test_the_shared_file_is_gdbs_to_write(gdb: Gdb) -> None:
    gdb.ask(f"dump binary value {gdb.memory_file} 0x11223344")
    assert os.pread(gdb.memory, 99, 0) == bytes.fromhex("44332211")


def ask_for_ever(gdb: Gdb, seconds: float, pid: int, number: signal.Signals) -> None:
    """Ask, while that signal comes after some time."""
    threading.Timer(seconds, os.kill, (pid, number)).start()
    while True:
        gdb.try_all(['printf "' + "stale" * 500 + '"'] * 500)


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.01, 0.05, 0.2])
def test_an_interrupted_batch_leaves_nothing_to_the_next(gdb: Gdb, seconds: float) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask_for_ever(gdb, seconds, os.getpid(), signal.SIGINT)
    assert [r.output for r in gdb.try_all(["echo a", "echo b"])] == ["a", "b"]


def test_ctrl_c_in_the_terminal_is_not_for_gdb(gdb: Gdb) -> None:
    assert os.getsid(gdb.pid) == gdb.pid != os.getsid(0)


def test_a_killed_gdb_is_one_line(gdb: Gdb) -> None:
    os.kill(gdb.pid, signal.SIGKILL)
    with pytest.raises(TargetError, match=r"^gdb ended \(killed by signal 9\)$"):
        gdb.ask_all(["echo"] * 3)
    with pytest.raises(TargetError, match=r"^gdb has ended$"):
        gdb.ask("echo")


def test_a_gdb_killed_in_the_middle(gdb: Gdb) -> None:
    with pytest.raises(TargetError, match="killed by signal 9"):
        ask_for_ever(gdb, 0.05, gdb.pid, signal.SIGKILL)


def test_a_hung_gdb_is_given_up(gdb: Gdb) -> None:
    os.kill(gdb.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(TargetError, match=r"silent for 0\.3 seconds"):
        gdb.ask("echo", timeout=0.3)
    assert time.monotonic() - began < 30


def test_gdb_follows_its_maker(gdb: Gdb) -> None:
    """Closing its input, as the death of this process does, ends gdb."""
    assert gdb._process.stdin
    gdb._process.stdin.close()
    assert gdb._process.wait(60) == 0


def test_no_gdb() -> None:
    with pytest.raises(TargetError, match="no-such-gdb is not installed: install the package gdb"):
        Gdb("no-such-gdb")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 3", r"ended \(exit status 3\)"),
        ("echo Interpreter unrecognized >&2; exit 1", r"ended \(exit status 1: Interpreter unrecognized\)"),
        ("exec sleep 30", "is silent for 2 seconds"),
        ("exec >&- 2>&-; sleep 30", r"ended \(killed by signal 9\)"),
        ("exec yes", "prints more than"),
        ("exec tr -d '\\n' </dev/zero", "prints more than"),
    ],
)
def test_what_is_no_gdb(tmp_path: Path, script: str, expected: str) -> None:
    program = tmp_path / "gdb"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(TargetError, match=expected):
        Gdb(str(program), timeout=2 if "silent" in expected else 60)


AT_FORK = """
import os, signal
from inspector.targets.live.mi import Gdb
asked = []
def once():
    if not asked:
        asked.append(True)
        signal.raise_signal(signal.SIGINT)
os.register_at_fork(after_in_parent=once)
try:
    Gdb("gdb")
except KeyboardInterrupt:
    print("interrupted", len(asked))
"""
"""Python drops what is raised in such a function."""


def test_ctrl_c_while_gdb_is_forked_is_not_lost() -> None:
    command = [sys.executable, "-c", AT_FORK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "interrupted 1\n", done.stderr


def test_nothing_is_left_open(gdb: Gdb) -> None:
    gdb.close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        one = Gdb()
        one.close()
        one.close()
    assert len(os.listdir("/proc/self/fd")) == before
