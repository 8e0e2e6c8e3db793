"""The pytest plugin, in a project of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.parametrize("version", ["seed", "current"])
def test_a_post_wakes(vtdpi_sim, version):
    sim = vtdpi_sim("idle", version)
    sim.settle()
    sim.machine.block("d1v0")
    sim.settle()
    assert sim.vcpu("d1v0").blocking_list == 0
    assert sim.situation("d1v0") == "S9"
    sim.machine.post("00:03.0", 0)
    event = sim.run_until("pi_wakeup_interrupt", "takes it off the list")
    assert event.subject == "d1v0"
    sim.settle()
    assert sim.vcpu("d1v0").in_guest
    assert sim.audit() == []
    sim.assert_no_bugs()

def test_a_machine_of_ones_own(vtdpi_sim, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[machine]\\ncpus = 3")
    assert len(vtdpi_sim(path, seed=3).snapshot().cpus) == 3

def test_a_dump(vtdpi_dump):
    target = vtdpi_dump("DUMP")
    assert [bug.rule for bug in target.audit().bugs] == ["D5"]
    target.assert_no_bugs(rule="D1")
    target.assert_no_bugs()

def test_every_interleaving(vtdpi_explorer):
    vtdpi_explorer("two-blocked").assert_holds("no lost wakeup")
    vtdpi_explorer("h-a").assert_holds("no stranded interrupt")

def test_what_does_not_come_fails(vtdpi_sim):
    vtdpi_sim("idle").run_until("no such thing")

def test_no_rest(vtdpi_sim):
    vtdpi_sim("one-device").settle()

def test_no_such_vcpu(vtdpi_sim):
    with pytest.raises(LookupError):
        vtdpi_sim().vcpu("d7v7")
"""


@pytest.mark.thorough
def test_machines_for_other_projects(tmp_path: Path, golden: Callable[[str], Path]) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS.replace("DUMP", str(golden("lost-wakeup"))))
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "inspector.api.pytest_plugin",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    there = {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=there, capture_output=True, text=True, check=False)
    assert "4 failed, 4 passed" in done.stdout, done.stdout
    assert "no step said no such thing" in done.stdout
    assert "did not come to rest within 100000 steps" in done.stdout
    told = [line.removeprefix("E").strip() for line in done.stdout.splitlines() if line.startswith("E ")]
    assert any(line.endswith("BugsFound: 1 bug found") for line in told)
    assert any(line.startswith("D5 d1v2: is blocked with vector 0x52 posted in PIR") for line in told)
    stands = "d1v2: blocked, CPU 0, PIR 0x52, ON 0, SN 0, NV 0xf3 wakeup, NDST CPU 0, on the list of CPU 0, S8 blocked"
    assert stands in told
    assert any("PropertyBroken: no stranded interrupt: broken" in line for line in told)
