"""Commands that write a file: all of it or the old one, and never over what is being read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

WRITERS = (
    ("save", ["save"]),
    ("report", ["report"]),
    ("picture", ["report", "--svg"]),
    ("core", ["core"]),
    ("trace", ["trace", "--count", "3", "--output"]),
    ("perfetto", ["trace", "--count", "3", "--perfetto"]),
)


@pytest.fixture
def saved(run, tmp_path):
    path = tmp_path / "saved.json"
    assert run("sim", "save", path).status == 0
    return path


@pytest.mark.parametrize("words", [words for _, words in WRITERS], ids=[name for name, _ in WRITERS])
def test_on_a_full_disk_the_old_file_stays(words, run, small_disk):
    path = small_disk(4096) / "file"
    path.write_text("old")
    ran = run("sim", "--scenario", "wakeup-storm", *words, path)
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert "No space left on device" in ran.err
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.thorough
def test_exploring_on_a_full_disk(run, small_disk):
    disk = small_disk(4096)
    for option in ("--save", "--html", "--perfetto"):
        path = disk / "file"
        path.write_bytes(b"old" * 1200)
        ran = run("explore", "--bug", "ZOO-01", option, path)
        assert ran.status == 2
        assert "No space left on device" in ran.err
        assert path.read_bytes() == b"old" * 1200
        assert os.listdir(disk) == ["file"]


def test_a_profile_on_a_full_disk(run, small_disk, symbols, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = small_disk(4096) / "file"
    path.write_text("old")
    ran = run("profile", "make", symbols, "--output", path)
    assert ran.status == 2
    assert "No space left on device" in ran.err
    assert path.read_text() == "old"


@pytest.mark.parametrize("command", ["save", "report", "-c"])
def test_a_saved_snapshot_is_not_written_over(command, run, saved):
    before = saved.read_bytes()
    words = ["-c", f"vcpus > {saved}"] if command == "-c" else [command, saved]
    ran = run("dump", saved, *words)
    assert ran.status == 2
    assert "is what is being read" in ran.err
    assert saved.read_bytes() == before


def test_a_dump_is_not_written_over(run, unpacked, tmp_path):
    path = tmp_path / "dump"
    shutil.copy(unpacked("tiny/paging-false.core"), path)
    before = path.read_bytes()
    for words in (["save", path], ["-c", f"info >> {path}"], ["report", path]):
        ran = run("dump", path, *words)
        assert ran.status == 2
        assert "is what is being read" in ran.err
        assert path.read_bytes() == before


def test_a_saved_snapshot_may_be_replaced_by_who_does_not_read_it(run, saved):
    saved.write_text("something else")
    assert run("sim", "save", saved).status == 0
    assert Path(saved).read_text().startswith("{")
