"""Labs on disk: claimed by one, never taken for dead while they start, never mistaken for another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.lab import LabError, process, state
from inspector.lab.lab import CONSOLE, Lab


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "vtdpi" / "lab"


def test_names_are_made_up_and_numbered(home: Path) -> None:
    with state.claimed("", "xen-4.20") as first, state.claimed("", "xen-4.20") as second:
        assert (first, second) == (home / "xen-4.20", home / "xen-4.20-2")


@pytest.mark.parametrize("name", ["..", "a/b", "-x", ".hidden", "a b", "x" * 64, "a\n"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="a lab's name is made of"), state.claimed(name, "x"):
        pass


def test_a_name_is_taken_once() -> None:
    with state.claimed("one", "x"), pytest.raises(LabError, match="is there already"), state.claimed("one", "x"):
        pass


def test_a_lab_that_starts_is_not_cleaned_up_and_one_whose_start_was_killed_is() -> None:
    with state.claimed("one", "x") as directory:
        assert Lab.all() == []
        assert directory.is_dir()
    assert Lab.all() == []
    assert not directory.exists()


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "gdb": null}', "\0\xff"])
def test_a_damaged_record_is_no_lab(home: Path, record: str) -> None:
    (home / "damaged").mkdir(parents=True)
    (home / "damaged" / state.RECORD).write_text(record)
    assert Lab.all() == []
    assert not (home / "damaged").exists()


def test_sockets_move_when_the_path_is_too_long_and_go_with_the_lab(home: Path) -> None:
    deep = home / ("x" * 100)
    deep.mkdir(parents=True)
    sockets = state.socket_directory(deep, "control")
    assert sockets != deep
    assert len(os.fsencode(sockets / "control")) <= state.LONGEST_SOCKET_PATH
    state.remove(deep)
    assert not sockets.exists()
    assert not deep.exists()


def test_a_process_is_ended_only_if_it_was_given_the_path(home: Path) -> None:
    mark = home / "one" / CONSOLE
    sleep = [sys.executable, "-c", "import sys, time; print(flush=True); time.sleep(60)"]
    with (
        subprocess.Popen([*sleep, f"x,logfile={mark}"], stdout=subprocess.PIPE) as ours,
        subprocess.Popen([*sleep, f"x,logfile={mark}2"], stdout=subprocess.PIPE) as other,
    ):
        for one in (ours, other):
            assert one.stdout
            one.stdout.readline()
        try:
            assert process.given(mark) == [ours.pid]
            assert process.end(other.pid, mark)
            assert other.poll() is None
            assert process.end(ours.pid, mark)
            assert process.given(mark) == []
        finally:
            ours.kill()
            other.kill()
