"""Files read by position: short ones, sparse ones, and what is none."""

from __future__ import annotations

import os
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.file import ZEROS, Extents, File, FileTarget

CONTENT = bytes(range(256)) * 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("file") / "dump"
    made.write_bytes(CONTENT)
    return made


@given(st.integers(-10, 1400), st.integers(-10, 1400))
def test_as_the_slice_of_its_content(path, offset, size):
    file = File(path)
    try:
        wanted = CONTENT[offset : offset + size] if offset >= 0 and size > 0 else b""
        assert file.read(offset, size) == wanted
    finally:
        file.close()


def test_a_file_that_is_cut_while_it_is_open_reads_short(tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(CONTENT)
    file = File(path)
    os.truncate(path, 100)
    assert file.read(90, 50) == CONTENT[90:100]
    assert file.read(200, 50) == b""
    file.close()


def test_holes_are_told_from_data(tmp_path):
    path = tmp_path / "sparse"
    block = 1 << 16
    with path.open("wb") as sparse:
        sparse.seek(4 * block)
        sparse.write(b"x" * block)
        sparse.truncate(8 * block)
    if path.stat().st_blocks * 512 >= 8 * block:
        pytest.skip("this file system has no sparse files")
    file = File(path)
    assert file.data_ranges(0, 8 * block) == [(4 * block, 5 * block)]
    assert file.data_ranges(4 * block + 100, 200) == [(4 * block + 100, 4 * block + 300)]
    assert file.data_ranges(6 * block, block) == []
    assert file.data_ranges(0, block) == []
    file.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot be opened: No such file"),
        (lambda path: path.touch(), "is empty; expected a dump file"),
        (lambda path: path.mkdir(), "is a directory"),
        # Opening must not wait for somebody to write to it.
        (os.mkfifo, "is no regular file"),
    ],
)
def test_what_is_no_dump_is_told_and_nothing_stays_open(tmp_path, make, says):
    path = tmp_path / "it"
    make(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TargetError, match=says):
        File(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_name_with_a_null_is_told():
    with pytest.raises(TargetError, match="cannot be opened"):
        File("a\0b")


def test_a_closed_file_is_an_error_and_closing_again_is_none(path):
    file = File(path)
    file.close()
    file.close()
    with pytest.raises(TargetError, match="cannot be read at offset 0x10"):
        file.read(16, 1)


PIECES = bytes(range(200))


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
def dump(tmp_path):
    made = tmp_path / "dump"
    made.write_bytes(PIECES)
    return made


def test_pieces_become_one(dump):
    with Pieces(dump) as target:
        assert target.read(0x1000, 0xB2) == PIECES[:100] + bytes(28) + PIECES[100:150]
        assert target.read(0x1070, 0x14) == bytes(16) + PIECES[100:104]
        assert target.description == f"pieces {dump}"
        assert list(target.files) == [str(dump)]
        assert list(target.warnings) == [f"{dump}: a warning"]


def test_what_it_does_not_hold_is_named_from_its_first_byte(dump):
    with Pieces(dump) as target, pytest.raises(NotReadable) as error:
        target.read(0x10B0, 16)
    assert (error.value.address, error.value.size) == (0x10B2, 14)
    assert f"pieces {dump} does not hold it" in str(error.value)


def test_a_dump_that_is_overwritten_while_it_is_read_is_told(dump):
    with Pieces(dump) as target:
        os.truncate(dump, 120)
        assert target.read(0x1000, 100) == PIECES[:100]
        with pytest.raises(TargetError, match="became shorter while it was read"):
            target.read(0x1080, 50)


def test_one_that_is_none_leaves_no_file_open(tmp_path):
    path = tmp_path / "other"
    path.write_bytes(b"x" * 100)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TargetError, match="this is none"):
        Pieces(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_after_it_was_closed(dump):
    target = Pieces(dump)
    target.close()
    target.close()
    with pytest.raises(TargetError):
        target.read(0x1000, 4)


STRETCHES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25), st.integers(0, 1000)), max_size=12)


def model(stretches: list[tuple[int, int, int]]) -> dict[int, int]:
    """Each address to its offset, the first stretch winning."""
    held: dict[int, int] = {}
    for start, size, offset in stretches:
        for i in range(size):
            held.setdefault(start + i, offset + i)
    return held


def extents(stretches: list[tuple[int, int, int]]) -> Extents:
    return Extents(*([column[i] for column in stretches] for i in range(3)))


@given(STRETCHES, st.integers(-3, 90), st.integers(0, 40))
def test_the_first_stretch_wins(stretches: list[tuple[int, int, int]], address: int, size: int) -> None:
    held, found = model(stretches), extents(stretches)
    wanted = []
    for at in range(address, address + size):
        if at not in held:
            break
        wanted.append(held[at])
    assert [offset + i for offset, length in found.locate(address, size) for i in range(length)] == wanted
    assert found.size == len(held)
    assert (found.starts < found.ends).all()
    assert (found.starts[1:] >= found.ends[:-1]).all()


@given(STRETCHES)
def test_ranges_are_merged(stretches: list[tuple[int, int, int]]) -> None:
    ranges = extents(stretches).ranges()
    assert [at for r in ranges for at in range(r.start, r.end)] == sorted(model(stretches))
    assert all(a.end < b.start for a, b in pairwise(ranges))


def test_nothing_is_held_by_no_stretches() -> None:
    empty = Extents([], [], [])
    assert (empty.ranges(), empty.locate(0, 8), empty.size) == ([], [], 0)


def test_a_hundred_thousand_nested_stretches_do_not_take_quadratic_time() -> None:
    count = 100_000
    starts = np.arange(count)[::-1]  # the first given is the innermost, each later one shows a page more at both ends
    began = time.monotonic()
    nested = Extents(starts * 4096, (2 * (count - starts)) * 4096, np.zeros(count, np.int64))
    assert time.monotonic() - began < 20
    assert nested.size == 2 * count * 4096 - (count - 1) * 4096 + (count - 1) * 4096
    assert nested.ranges()[0].start == 0
