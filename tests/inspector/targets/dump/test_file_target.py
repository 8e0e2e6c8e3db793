"""What all targets that are files have in common."""

from __future__ import annotations

import os

import pytest

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.file_target import ZEROS, FileTarget

CONTENT = bytes(range(200))


class Pieces(FileTarget):
    """A file of two pieces: at 0x1000 its first 100 bytes, then 28 zeros that it does not hold, then the next 50."""

    kind = "pieces"

    def _open(self):
        if self._source.read(0, 1) != b"\0":
            raise TargetError("this is none")
        self._warn("a warning")

    def read(self, address, size):
        whole = [(0x1000, 100, 0), (0x1064, 28, ZEROS), (0x1080, 50, 100)]
        pieces = []
        at, left = address, size
        for start, length, offset in whole:
            if start <= at < start + length and left > 0:
                take = min(left, start + length - at)
                pieces.append((offset + (at - start), take))
                at, left = at + take, left - take
        return self._read_pieces(address, size, pieces)


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "dump"
    made.write_bytes(CONTENT)
    return made


def test_pieces_become_one(path):
    with Pieces(path) as target:
        assert target.read(0x1000, 0xB2) == CONTENT[:100] + bytes(28) + CONTENT[100:150]
        assert target.read(0x1070, 0x14) == bytes(16) + CONTENT[100:104]
        assert target.description == f"pieces {path}"
        assert list(target.files) == [str(path)]
        assert list(target.warnings) == [f"{path}: a warning"]


def test_what_it_does_not_hold_is_named_from_its_first_byte(path):
    with Pieces(path) as target, pytest.raises(NotReadable) as error:
        target.read(0x10B0, 16)
    assert (error.value.address, error.value.size) == (0x10B2, 14)
    assert f"pieces {path} does not hold it" in str(error.value)


def test_a_dump_that_is_overwritten_while_it_is_read_is_told(path):
    with Pieces(path) as target:
        os.truncate(path, 120)
        assert target.read(0x1000, 100) == CONTENT[:100]
        with pytest.raises(TargetError, match="became shorter while it was read"):
            target.read(0x1080, 50)


def test_one_that_is_none_leaves_no_file_open(tmp_path):
    path = tmp_path / "other"
    path.write_bytes(b"x" * 100)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TargetError, match="this is none"):
        Pieces(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_after_it_was_closed(path):
    target = Pieces(path)
    target.close()
    target.close()
    with pytest.raises(TargetError):
        target.read(0x1000, 4)
