"""What the Python API writes: whole, or the old file stays."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim_backend.debug.elf_core import write_core
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load
from structs.new_file import PREFIX, replacing, write

WRITERS = {
    "machine": lambda path: Machine(load("idle")).save(path),
    "history": lambda path: History(load("idle"), CURRENT, (Move(turn="CPU 0"),) * 999).write(path),
    "core": lambda path: write_core(Machine(load("idle")), path),
}


@pytest.fixture(params=WRITERS)
def writer(request):
    return WRITERS[request.param]


@contextmanager
def files_of_at_most(size: int):
    """As a disk that is full: a write beyond this many bytes of a file fails with EFBIG."""
    before, bytecode = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # of a module imported within, half of it would be kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = bytecode


def test_a_full_disk_leaves_the_old_file(tmp_path, writer):
    path = tmp_path / "file"
    path.write_bytes(b"the old one")
    with files_of_at_most(4096), pytest.raises(SimError, match="File too large") as error:
        writer(path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["file"]
    writer(path)
    assert path.stat().st_size > 4096
    assert os.listdir(tmp_path) == ["file"]


def test_a_place_that_takes_none_is_an_error(tmp_path, writer):
    for path in (tmp_path / "no" / "folder", tmp_path):
        with pytest.raises(SimError):
            writer(path)
    with pytest.raises(SimError, match="No space left"):
        writer(Path("/dev/full"))


def test_a_name_that_is_none_is_an_error(writer):
    with pytest.raises(SimError, match="null byte"):
        writer(Path("nul\0byte"))


def test_what_only_its_owner_may_read_is_never_there_for_others(tmp_path):
    path = tmp_path / "secret"
    path.touch(0o600)
    with replacing(path) as file:
        assert [entry.stat().st_mode & 0o077 for entry in tmp_path.iterdir()] == [0, 0]
        file.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_links_and_modes_stay(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o640
    write(tmp_path / "fresh", b"x")
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "fresh").stat().st_mode == plain.stat().st_mode


def test_what_ends_the_block_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        half_written(tmp_path)
    assert os.listdir(tmp_path) == []


def half_written(folder):
    with replacing(folder / "file") as file:
        file.write(b"half")
        assert all(name.startswith(PREFIX) for name in os.listdir(folder))
        raise KeyboardInterrupt
