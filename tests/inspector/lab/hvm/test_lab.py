"""An HVM lab by its record on disk, and with a process in Bochs' place. A real one: tests/live/test_hvm_lab.py."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.lab import LabError, process, silent, state
from inspector.lab.hvm import lab as module
from inspector.lab.hvm.lab import ANSWERS, COMMANDS, CONSOLE, FAILED, KIND, UP, HvmLab


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "vtdpi/lab").mkdir(parents=True)
    return tmp_path / "vtdpi/lab"


@pytest.fixture
def running(home: Path, stand_in):
    """Call it with a name for a lab whose Bochs is a process that stands in for it."""

    def start(name: str = "one") -> HvmLab:
        place = home / name
        place.mkdir()
        (place / CONSOLE).touch()
        pid = stand_in(place / CONSOLE).pid
        symbols = Path("/cache/xen-syms")
        lab = HvmLab(name, pid, place / CONSOLE, Path("/cache/xen"), symbols, "storm", True, {"rip": 0x10, "cs": 8})
        state.save(place, lab.record())
        return lab

    return start


def test_what_is_on_disk_is_the_lab(running, home):
    lab = running()
    assert HvmLab.all() == [lab]
    record = json.loads((home / "one" / state.RECORD).read_text())
    assert record["kind"] == KIND
    assert HvmLab.load(home / "one", record) == lab
    assert lab.attach_words() == ["vtdpi", "live", "bochs:one"]
    machine = lab.machine()
    assert (machine.name, machine.pid, machine.places) == ("one", lab.pid, lab.places)
    assert (machine.commands, machine.answers) == (home / "one" / COMMANDS, home / "one" / ANSWERS)


@pytest.mark.parametrize(
    "damage",
    [
        {"pid": "x"},
        {"pid": None},
        {"console": 7},
        {"places": None},
        {"places": ["rip"]},
        {"places": {"rip": "x"}},
        {"symbols": None},
    ],
    ids=str,
)
def test_a_damaged_record_is_none_and_is_removed(running, home, damage):
    lab = running()
    record = {**lab.record(), **damage}
    assert HvmLab.load(home / "one", record) is None
    state.save(home / "one", record)
    assert HvmLab.all() == []
    assert not (home / "one").exists()
    assert not process.is_given(lab.pid, lab.console), "its Bochs is nobody's then"


def test_dead_ones_are_removed_and_other_kinds_are_not_looked_at(running, home):
    lab = running()
    (home / "qemu").mkdir()
    state.save(home / "qemu", {"pid": 1})
    (home / "dead").mkdir()
    state.save(home / "dead", {**lab.record(), "console": str(home / "dead" / CONSOLE)})
    assert HvmLab.all() == [lab]
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == ["one", "qemu"]


def test_down(running, home):
    lab = running()
    lab.down()
    assert not lab.is_running()
    assert not (home / "one").exists()
    lab.down()


@pytest.mark.parametrize("key", ["", "VV", " ", "\n", "\x7f", "é"])
def test_what_is_no_debug_key(running, key):
    with pytest.raises(LabError, match="a debug key is one printable ASCII character, not "):
        running().keys(key)


class TestWaiting:
    def wait(self, lab: HvmLab, seconds: float = 30, say=silent) -> None:
        module._wait_until_up(lab.pid, lab.console, time.monotonic() + seconds, say)

    def test_until_all_vcpus_run(self, running):
        lab = running()
        writer = threading.Timer(0.05, lab.console.write_text, (f"(XEN) x\n{UP}\n",))
        writer.start()
        self.wait(lab)
        writer.join()

    @pytest.mark.parametrize("text", [f"{FAILED}no memory", "(XEN) Panic on CPU 1:\n(XEN) a fault"])
    def test_a_failure_is_told_at_once(self, running, text):
        lab = running()
        lab.console.write_text(text)
        with pytest.raises(LabError, match="the machine did not come up; its last lines: ") as caught:
            self.wait(lab)
        assert text.splitlines()[-1] in str(caught.value)

    def test_a_bochs_that_has_ended_says_why(self, running):
        lab = running()
        (lab.console.parent / ANSWERS).write_text("PANIC: no BIOS\n")
        with pytest.raises(LabError, match="Bochs ended; it said: PANIC: no BIOS; nothing"):
            self.wait(replace(lab, pid=1))

    def test_a_deadline(self, running):
        lab = running()
        lab.console.write_text("(XEN) Xen version 4.20\n")
        with pytest.raises(LabError, match=r"no guest runs after 0 s; the last lines: \(XEN\) Xen version 4.20"):
            self.wait(lab, seconds=0)


class TestQuiet:
    """What Xen prints for a debug key ends with silence."""

    def test_xens_own_lines_from_there_on(self, running, monkeypatch):
        monkeypatch.setattr(module, "QUIET", 0.1)
        console = running().console
        console.write_text("(XEN) before\n")
        start = console.stat().st_size
        with console.open("a") as file:
            file.write("vtdpi guest: x\n(XEN) one\nhalf a line(XEN) two\n")
        assert module._quiet(console, start, time.monotonic() + 30) == "(XEN) one\n(XEN) two\n"

    def test_it_waits_for_more(self, running, monkeypatch):
        monkeypatch.setattr(module, "QUIET", 0.4)
        console = running().console
        console.write_text("(XEN) one\n")
        later = threading.Timer(0.1, console.write_text, ("(XEN) one\n(XEN) two\n",))
        later.start()
        assert module._quiet(console, 0, time.monotonic() + 30) == "(XEN) one\n(XEN) two\n"
        later.join()

    def test_a_machine_that_never_stops_talking_has_a_deadline(self, running):
        console = running().console
        console.write_text("(XEN) one\n")
        assert module._quiet(console, 0, time.monotonic() + 0.05) == "(XEN) one\n"
