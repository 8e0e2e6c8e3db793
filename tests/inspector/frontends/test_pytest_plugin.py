"""The pytest plugin, in a project of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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

def test_a_machine_of_ones_own(vtdpi_sim, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[machine]\\ncpus = 3")
    assert len(vtdpi_sim(path, seed=3).snapshot().cpus) == 3

def test_what_does_not_come_fails(vtdpi_sim):
    vtdpi_sim("idle").run_until("no such thing")

def test_no_rest(vtdpi_sim):
    vtdpi_sim("one-device").settle()

def test_no_such_vcpu(vtdpi_sim):
    with pytest.raises(LookupError):
        vtdpi_sim().vcpu("d7v7")
"""


def test_machines_for_other_projects(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "inspector.frontends.pytest_plugin",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    there = {"PYTHONPATH": str(Path(__file__).parents[3]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=there, capture_output=True, text=True, check=False)
    assert "2 failed, 4 passed" in done.stdout, done.stdout
    assert "no step said no such thing" in done.stdout
    assert "did not come to rest within 100000 steps" in done.stdout
