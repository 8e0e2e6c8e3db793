"""A guest is never left stopped, whoever ends, whenever: vtdpi or its gdb, asked to or killed.

VTDPI_ATTACHES tells how many attaches are ended by each signal (4 if it is not set).
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inspector.lab.lab import Lab
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.targets.live.rsp import Address, Conversation, restore

pytestmark = pytest.mark.live

EACH = int(os.environ.get("VTDPI_ATTACHES", "4"))
COMMANDS = (["vcpus"], ["irt", "--json"], ["info"], ["watch", "--interval", "0.1"], ["-c", "irt", "-c", "audit"])
ROOT = Path(__file__).parents[2]
STARTS = 0.3
"""Seconds that are enough for Python to begin with vtdpi."""


class Events:
    """QEMU's own word on whether the guest runs, from its QMP socket for the lab."""

    def __init__(self, lab: Lab) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(lab.control))
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str) -> dict:
        self.socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while "return" not in (message := json.loads(self.lines.readline())):
            pass
        return message["return"]

    def wait_for(self, event: str) -> None:
        while json.loads(self.lines.readline()).get("event") != event:
            pass

    def running(self) -> bool:
        return self.ask("query-status")["running"]


@contextmanager
def events(lab: Lab) -> Iterator[Events]:
    listening = Events(lab)
    try:
        yield listening
    finally:
        listening.lines.close()
        listening.socket.close()


def attach(lab: Lab, words: list[str], qmp: bool) -> subprocess.Popen:
    given = ["--qmp", str(lab.qmp)] if qmp else []
    target = ["live", lab.gdb, *given, "--symbols", str(lab.symbols)]
    return subprocess.Popen(
        [sys.executable, "-m", "inspector.frontends.entry", *target, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(holds, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def mode(lab: Lab) -> bytes:
    """The stub's physical-memory mode; the guest runs on afterwards."""
    address = Address.parse(lab.gdb)
    with Conversation(address) as stub:
        found = stub.ask(b"qqemu.PhyMemMode")
    restore(address, physical=False, resume=True)
    return found


@pytest.fixture
def lab(labs) -> Lab:
    from inspector.lab.machine import Recipe

    return labs(Recipe(xen="4.20"))


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "gdb"])
def test_the_guest_runs_on_whoever_ends(how, lab):
    luck = random.Random(f"{how} {os.environ.get('VTDPI_SEED', '1')}")
    for number in range(EACH):
        early = number % 3 == 0
        with events(lab) as qemu:
            process = attach(lab, luck.choice(COMMANDS), qmp=luck.random() < 0.5)
            if early or how == "gdb":
                qemu.wait_for("STOP")
                time.sleep(luck.uniform(0, 0.02) if early else luck.uniform(0, 0.5))
            else:
                time.sleep(STARTS + luck.uniform(0, 1.5))
            gdbs = children(process.pid)
            if how == "gdb":
                for gdb in gdbs:
                    os.kill(gdb, signal.SIGKILL)
            else:
                process.send_signal(signal.Signals[how])
            _, said = process.communicate(timeout=30)
            # It may have been done already.
            expected = {"SIGINT": {130, 0}, "SIGTERM": {143, 0}, "SIGHUP": {129, 0}, "SIGKILL": {-9, 0}, "gdb": {3, 0}}
            context = f"attach {number}, early {early}: status {process.returncode}, {said!r}"
            assert process.returncode in expected[how], context
            if process.returncode > 0:
                complaints = [line for line in said.splitlines() if not line.startswith("note: ")]
                assert len(complaints) == 1, context
            until(qemu.running, 1 if how != "SIGKILL" else 3, f"the guest is left stopped: {context}")
            until(lambda pids=tuple(gdbs): all(map(is_gone, pids)), 5, f"a gdb is left: {context}")
            assert mode(lab) == b"0", context


def test_a_qemu_that_is_itself_stopped_lets_its_guest_run_later(lab):
    with events(lab) as qemu:
        os.kill(lab.pid, signal.SIGSTOP)
        try:
            process = attach(lab, ["info"], qmp=False)
            _, said = process.communicate(timeout=60)
        finally:
            os.kill(lab.pid, signal.SIGCONT)
        assert process.returncode == 3
        assert "does not answer" in said
        qemu.wait_for("STOP")
        until(qemu.running, 5, "the guest is left stopped")
    assert mode(lab) == b"0"


def test_a_qemu_that_is_stopped_while_we_are_attached(lab):
    with events(lab) as qemu:
        target = GdbMi(lab.gdb, timeout=2.0)
        os.kill(lab.pid, signal.SIGSTOP)
        try:
            with pytest.raises(Exception, match=r"silent|could not be left"):
                target.read(0x1000, 64)
            with pytest.raises(Exception, match="could not be left as found"):
                target.close()
        finally:
            os.kill(lab.pid, signal.SIGCONT)
        until(qemu.running, 5, "the guest is left stopped")
    assert mode(lab) == b"0"


def test_a_guest_that_was_stopped_stays_so_by_sigkill(lab):
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
    try:
        for wait in (0.0, 0.01, 0.3):
            process = attach(lab, ["-c", "irt", "-c", "vcpus", "-c", "audit"], qmp=True)
            while not (gdbs := children(process.pid)):
                time.sleep(0.01)
            time.sleep(0.3 + wait)
            process.kill()
            process.communicate(timeout=30)
            until(lambda pids=tuple(gdbs): all(map(is_gone, pids)), 10, "a gdb is left")
            with Qmp(lab.control) as qmp:
                assert not qmp.execute("query-status")["running"]
    finally:
        with Qmp(lab.control) as qmp:
            qmp.execute("cont")
