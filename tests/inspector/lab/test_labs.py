"""The running labs of both kinds, found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.lab import LabError, labs, state
from inspector.lab.hvm.lab import HvmLab
from inspector.lab.lab import CONSOLE, Lab


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "vtdpi/lab").mkdir(parents=True)
    return tmp_path / "vtdpi/lab"


@pytest.fixture
def running(home: Path, stand_in):
    """Call it with a name, and whether it is an HVM lab, for a lab that a process stands in for."""

    def start(name: str, hvm: bool = False) -> labs.AnyLab:
        place = home / name
        place.mkdir()
        console = place / CONSOLE
        pid = stand_in(console).pid
        lab: labs.AnyLab
        if hvm:
            lab = HvmLab(name, pid, console, place, place, "storm", True, {"rip": 8})
        else:
            lab = Lab(name, pid, "gdb", place, place, place, console, place, None, False)
        state.save(place, lab.record())
        return lab

    return start


def test_both_kinds_by_name(running):
    assert labs.running() == []
    of_b, of_a, of_c = running("b"), running("a", hvm=True), running("c", hvm=True)
    assert labs.running() == [of_a, of_b, of_c]
    assert (labs.find("a"), labs.find("b")) == (of_a, of_b)


def test_the_only_one(running):
    one = running("one", hvm=True)
    assert labs.find() == labs.find_hvm() == labs.find_hvm("one") == one


def test_which_one(running):
    with pytest.raises(LabError, match=r"^no lab is running: `vtdpi lab up`$"):
        labs.find()
    with pytest.raises(LabError, match=r"^no lab x is running \(running: none\)$"):
        labs.find("x")
    running("one"), running("two", hvm=True)
    with pytest.raises(LabError, match=r"^several labs are running: name one of one, two$"):
        labs.find()
    with pytest.raises(LabError, match=r"^no lab x is running \(running: one, two\)$"):
        labs.find("x")


def test_which_hvm_lab(running):
    with pytest.raises(LabError, match=r"^no HVM lab is running: `vtdpi lab up --hvm`$"):
        labs.find_hvm()
    running("qemu")
    with pytest.raises(LabError, match=r"^no HVM lab qemu is running \(running: none\); start one with"):
        labs.find_hvm("qemu")
    one, two = running("one", hvm=True), running("two", hvm=True)
    with pytest.raises(LabError, match=r"^which HVM lab[?] running: one, two$"):
        labs.find_hvm()
    assert (labs.find_hvm("one"), labs.find_hvm("two")) == (one, two)
