"""A lab by its record on disk, and with a process in QEMU's place. A real one: tests/live/test_lab.py."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from inspector.lab import LabError, crash, process, state, uefi
from inspector.lab.lab import ALONE_LIMIT, CONSOLE, DOM0_LIMIT, Lab
from inspector.lab.machine import Recipe

WAITS = "mkfifo fifo; read forever < fifo"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "vtdpi/lab").mkdir(parents=True)
    return tmp_path / "vtdpi/lab"


@pytest.fixture
def running(home: Path, stand_in):
    """Call it with a name for a lab whose QEMU is a process that stands in for it."""

    def start(name: str = "one", status: str = "running", dom0: bool = False, console: str = "") -> Lab:
        place = home / name
        place.mkdir()
        (place / CONSOLE).write_text(console)
        sockets = state.socket_directory(place, "control")
        qemu = stand_in(place / CONSOLE, sockets / "control", status)
        lab = Lab(
            name,
            qemu.pid,
            str(sockets / "gdb"),
            sockets / "qmp",
            sockets / "control",
            sockets / "serial",
            place / CONSOLE,
            Path("/boot/xen"),
            Path("/boot/xen-syms"),
            dom0,
        )
        state.save(place, lab.record())
        return lab

    return start


def test_what_is_on_disk_is_the_lab(running, home):
    lab = running()
    assert Lab.all() == [lab]
    assert Lab.find() == Lab.find("one") == lab
    assert json.loads((home / "one" / state.RECORD).read_text()) == lab.record()
    assert (lab.record()["image"], lab.record()["symbols"]) == ("/boot/xen", "/boot/xen-syms")
    assert lab.is_running()


def test_one_without_symbols(running, home):
    lab = replace(running(), symbols=None)
    state.save(home / "one", lab.record())
    assert Lab.find().symbols is None


def test_which_lab(running):
    with pytest.raises(LabError, match=r"^no lab is running: `vtdpi lab up`$"):
        Lab.find()
    with pytest.raises(LabError, match=r"^no lab x is running \(running: none\)$"):
        Lab.find("x")
    one, two = running("one"), running("two")
    assert Lab.all() == [one, two]
    with pytest.raises(LabError, match=r"^several labs are running: name one of one, two$"):
        Lab.find()
    assert Lab.find("two") == two
    with pytest.raises(LabError, match=r"no lab x is running \(running: one, two\)"):
        Lab.find("x")


def test_a_dead_one_is_removed_and_one_of_another_kind_is_not_looked_at(running, home, stand_in):
    lab = running()
    (home / "other").mkdir()
    state.save(home / "other", {"kind": "hvm"})
    dead = home / "dead"
    dead.mkdir()
    state.save(dead, {**lab.record(), "pid": 1, "console": str(dead / CONSOLE)})
    # A start that was killed leaves no record, and a QEMU that nobody knows of.
    orphan = stand_in(home / "killed" / CONSOLE)
    (home / "killed").mkdir()
    assert Lab.all() == [lab]
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == ["one", "other"]
    assert not process.is_given(orphan.pid, home / "killed" / CONSOLE)


def test_down_asks_its_qemu_to_quit(running, home):
    lab = running()
    with lab:
        assert lab.is_running()
    assert not lab.is_running()
    assert not (home / "one").exists()
    assert Lab.all() == []
    lab.down()


def test_one_that_does_not_answer_is_killed(running, home):
    lab = running()
    lab.control.unlink()
    lab.down()
    assert not lab.is_running()
    assert not (home / "one").exists()


class TestKeys:
    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"status": "paused"}, "the machine is stopped (paused); continue it first"),
            (
                {"console": "(XEN) Panic on CPU 0:\n(XEN) Could not construct domain 0\n(XEN) Reboot in 5 s\n"},
                "it has panicked and halted for want of a dom0; use `vtdpi lab up --dom0`",
            ),
            (
                {"dom0": True, "console": "(XEN) Panic on CPU 0:\n(XEN) GENERAL PROTECTION FAULT\n(XEN) Reboot in"},
                "it has panicked and halted",
            ),
        ],
    )
    def test_why_xen_cannot_answer(self, running, fields, why):
        lab = running(**fields)
        with pytest.raises(LabError) as caught:
            lab.keys("V")
        assert str(caught.value) == f"Xen cannot answer: {why}"

    def test_of_a_qemu_that_has_ended(self, running):
        lab = running()
        lab.down()
        with pytest.raises(LabError, match="Xen cannot answer: its QEMU has ended"):
            lab.keys("V")

    def test_a_console_that_nobody_serves(self, running):
        lab = running(console="(XEN) the last line\n")
        with pytest.raises(LabError, match=r"; its last lines: \(XEN\) the last line$"):
            lab.keys("V", timeout=0.1)


class TestCrash:
    def test_one_without_a_crash_kernel(self, running, tmp_path):
        lab = running()
        with pytest.raises(LabError, match="one has no crash kernel: start it with `vtdpi lab up --crash`"):
            lab.crash(tmp_path / "dump")
        assert lab.is_running()

    def test_one_that_is_stopped_stays_as_it_is(self, running, tmp_path):
        lab = running(status="paused", dom0=True)
        (lab.console.parent / crash.DISK).write_bytes(bytes(4096))
        with pytest.raises(LabError, match=r"Xen cannot be crashed: the machine is stopped \(paused\)"):
            lab.crash(tmp_path / "dump")
        assert lab.is_running()
        assert not (tmp_path / "dump").exists()


def test_waiting_is_for_what_it_was_started_with(running):
    ready = running(dom0=True, console="vtdpi lab: dom0 is ready\n")
    ready.wait()
    with pytest.raises(LabError, match=r"Xen is not up after .* last lines: vtdpi lab: dom0 is ready"):
        replace(ready, dom0=False).wait(timeout=0.01)


@pytest.mark.parametrize(
    ("dom0", "firmware", "limit"), [(False, False, ALONE_LIMIT), (True, False, DOM0_LIMIT), (False, True, DOM0_LIMIT)]
)
def test_a_slower_machine_has_more_time(running, monkeypatch, dom0, firmware, limit):
    lab = running(dom0=dom0)
    if firmware:
        (lab.console.parent / uefi.PARTITION).mkdir()
    asked = []
    monkeypatch.setattr("inspector.lab.boot.wait_until_up", lambda *words: asked.append(words[3]))
    before = time.monotonic()
    lab.wait()
    lab.wait(timeout=7)
    after = time.monotonic()
    for deadline, seconds in zip(asked, (limit, 7), strict=True):
        assert before + seconds <= deadline <= after + seconds


class TestUp:
    """With a program in QEMU's place: what is there after each way in which a start can end."""

    @pytest.fixture
    def qemu(self, tmp_path, monkeypatch):
        """Call it with a shell script's end: that is what starts in QEMU's place."""

        def use(script):
            program = tmp_path / "qemu"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)
            monkeypatch.setattr("inspector.lab.qemu.command", lambda which, say: [str(program)])
            image = tmp_path / "xen"
            image.write_bytes(b"\x7fELF")
            return Recipe(image=image)

        return use

    def test_a_qemu_that_refuses(self, qemu, home):
        recipe = qemu("echo 'intel-iommu: no such device' >&2; exit 1")
        with pytest.raises(LabError, match="QEMU ended; it said: intel-iommu: no such device"):
            Lab.up(recipe)
        assert not [path for path in home.iterdir() if path.is_dir()]

    def test_a_qemu_that_says_nothing(self, qemu, home):
        with pytest.raises(LabError, match="QEMU does not answer"):
            Lab.up(qemu(WAITS), timeout=0.05)
        assert not [path for path in home.iterdir() if path.is_dir()]

    def test_a_program_that_runs_another_in_its_place(self, qemu, home, monkeypatch):
        """A script that drops its words: nobody would know its QEMU again."""
        monkeypatch.setattr("inspector.lab.process.STARTS_WITHIN", 0.2)
        with pytest.raises(LabError, match="runs something else: its process has not the words"):
            Lab.up(qemu("exec sleep 600"))
        assert not [path for path in home.iterdir() if path.is_dir()]

    def test_a_start_that_is_interrupted(self, qemu, home, monkeypatch):
        monkeypatch.setattr("inspector.lab.boot.wait_for_monitor", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Lab.up(qemu(WAITS))
        assert not [path for path in home.iterdir() if path.is_dir()]

    def test_a_recipe_that_is_none_starts_nothing(self, qemu, home):
        recipe = qemu(WAITS)
        with pytest.raises(LabError, match="1 MiB of memory are too little"):
            Lab.up(replace(recipe, memory=1, dom0=False, uefi=True))
        assert not [path for path in home.iterdir() if path.is_dir()]

    def test_a_name_that_is_taken(self, qemu, running):
        running("mine")
        with pytest.raises(LabError, match="a lab mine is there already"):
            Lab.up(replace(qemu(WAITS), name="mine"))
        assert Lab.find("mine").is_running()


def interrupted(*words: object) -> None:
    raise KeyboardInterrupt


def test_two_that_end_it_at_once(running, home):
    """Both come to the same end, whoever is first."""
    lab = running()
    failed: list[BaseException] = []

    def down() -> None:
        try:
            lab.down()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=down) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert not (home / "one").exists()
