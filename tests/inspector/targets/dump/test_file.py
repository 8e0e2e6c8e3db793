"""Files read by position: short ones, sparse ones, and what is none."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.targets.dump.file import File

CONTENT = bytes(range(256)) * 5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    made = tmp_path_factory.mktemp("file") / "dump"
    made.write_bytes(CONTENT)
    return made


@given(st.integers(-10, 1400), st.integers(-10, 1400))
@settings(max_examples=80, deadline=None)
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
