"""Machines that make no sense: one clear line each, exit status 3, and what can be read is still shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspector.frontends.cli import main
from inspector.lab.lab import Lab
from inspector.lab.machine import Recipe
from inspector.targets.live.gdb_mi import GdbMi
from inspector.targets.live.qmp import Qmp
from inspector.xen.find import find

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
IRTA = 0xFED900B8


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def command(*words: object) -> Ran:
        capsys.readouterr()
        status = main([str(word) for word in words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ran(status, printed.out, printed.err)

    return command


@pytest.fixture
def spoilt(labs: Callable[[Recipe], Lab]) -> Iterator[Lab]:
    """A lab of the test's own, to be damaged: it is stopped, so that Xen does not meet what the test writes."""
    lab = labs(Recipe(name="spoilt", xen="4.20"))
    with Qmp(lab.control) as qmp:
        qmp.execute("stop")
    yield lab
    lab.down()


def write(lab: Lab, address: int, value: int) -> None:
    """Put 8 bytes at a physical address, with a gdb of the test's own; vtdpi never writes."""
    words = [
        "gdb", "-nx", "-batch",
        "-ex", "set architecture i386:x86-64",
        "-ex", f"target remote {lab.gdb}",
        "-ex", "maintenance packet Qqemu.PhyMemMode:1",
        "-ex", f"set {{unsigned long}}{address:#x} = {value:#x}",
        "-ex", "maintenance packet Qqemu.PhyMemMode:0",
        "-ex", "disconnect",
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=30)


def test_a_table_that_is_nowhere(spoilt: Lab, run: Callable[..., Ran]) -> None:
    write(spoilt, IRTA, 0x7_0000_0000 | 0xF)
    answer = run("live", spoilt.gdb, "irt")
    assert (answer.status, answer.out) == (3, "")
    assert "interrupt-remapping table of 1048576 bytes at 0x700000000 (IRTA) is not in readable memory" in answer.err
    assert run("live", spoilt.gdb, "dmar").status == 0
    assert run("live", spoilt.gdb, "regs", "irta").status == 0


def test_a_table_that_runs_out_of_memory(spoilt: Lab, run: Callable[..., Ran]) -> None:
    write(spoilt, IRTA, (64 << 20) - (512 << 10) | 0xF)
    answer = run("live", spoilt.gdb, "irt", "--json")
    assert answer.status == 3
    assert "524288 bytes of the table" in answer.err
    assert json.loads(answer.out)["units"][0]["size"] == 65536


def test_a_list_of_units_that_loops(spoilt: Lab, run: Callable[..., Ran]) -> None:
    with GdbMi(spoilt.gdb, resume=False) as target:
        xen = find(target)
        (node,) = xen.list_nodes(xen.profile.symbol("acpi_drhd_units"))
        following = xen.memory.translate(node)
    write(spoilt, following, node)
    answer = run("live", spoilt.gdb, "irt", "--json")
    assert answer.status == 3
    assert "it loops" in answer.err
    assert len(json.loads(answer.out)["units"][0]["entries"]) == 24


def test_wrong_symbols(lab_xen: Lab, labs: Callable[[Recipe], Lab], run: Callable[..., Ran]) -> None:
    from inspector.lab import xen

    other = xen.debian("4.17" if "4.20" in str(lab_xen.symbols) else "4.20", print).symbols
    answer = run("live", lab_xen.gdb, "--symbols", other, "irt", "--json")
    assert answer.status == 3
    assert "the symbols are of Xen" in answer.err
    assert "holds Xen" in answer.err
    assert "known profile" in answer.err
    assert len(json.loads(answer.out)["units"][0]["entries"]) == 24


def test_stripped_symbols(lab_xen: Lab, tmp_path: Path, run: Callable[..., Ran]) -> None:
    stripped = tmp_path / "xen-syms"
    subprocess.run(["strip", "-o", stripped, str(lab_xen.symbols)], check=True)
    answer = run("live", lab_xen.gdb, "--symbols", stripped, "irt", "--json")
    assert answer.status == 3
    assert f"{stripped}: no symbol table in it (stripped?)" in answer.err
    assert len(json.loads(answer.out)["units"][0]["entries"]) == 24


def start(lab: Lab, *words: str) -> subprocess.Popen[str]:
    """A command that is under way: what comes before is Python's own start, which no program can guard."""
    begin = "from inspector.frontends.cli import main; print(flush=True); raise SystemExit(main())"
    command = [sys.executable, "-c", begin, "live", lab.gdb, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout
    assert started.stdout.readline() == "\n"
    return started


@pytest.mark.parametrize("wait", [0.05, 0.15, 0.4, 0.6])
def test_ctrl_c_leaves_the_machine_as_found(lab_xen: Lab, wait: float) -> None:
    with start(lab_xen, "irt", "--all") as running:
        time.sleep(wait)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert "Traceback" not in errors
    with Qmp(lab_xen.control) as qmp:
        assert qmp.execute("query-status")["running"]


def test_qemu_killed_in_the_middle(spoilt: Lab) -> None:
    with start(spoilt, "irt") as running:
        time.sleep(0.3)
        os.kill(spoilt.pid, signal.SIGKILL)
        output, errors = running.communicate(timeout=60)
    assert "Traceback" not in errors
    if running.returncode:
        assert running.returncode == 3
        assert len([line for line in errors.splitlines() if line.startswith("vtdpi:")]) == 1
    else:
        assert "65536 entries" in output
