"""RAM in blocks, of which some are not there yet: read from a process that keeps it as Bochs does, this one."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.live.bochs_memory import BochsMemory
from inspector.targets.live.bochs_process import BochsProcess
from inspector.targets.ranges import Range

BLOCK = 0x1000
BLOCKS = 8


class Here(BochsProcess):
    """This process, with a BX_MEM_C of our own: blocks 1, 2 and 5 are there, and not in their order."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.ram = (ctypes.c_ubyte * (BLOCK * BLOCKS))(*(i * 7 % 251 for i in range(BLOCK * BLOCKS)))
        start = ctypes.addressof(self.ram)
        self.order = {1: 2, 2: 0, 5: 1}
        pointers = [start + self.order[i] * BLOCK if i in self.order else 0 for i in range(BLOCKS)]
        self.table = (ctypes.c_uint64 * BLOCKS)(*pointers)
        size = BLOCK * BLOCKS
        words = [1, 2, 3, size, size, BLOCK, 9, start, ctypes.addressof(self.table)]
        self.header = (ctypes.c_uint64 * 64)(*words)

    def symbol(self, name: str) -> int:
        assert name == "bx_mem"
        return ctypes.addressof(self.header)

    def expected(self, address: int, size: int) -> bytes:
        return bytes(self.ram[self.order[i // BLOCK] * BLOCK + i % BLOCK] for i in range(address, address + size))


here = Here()
ram = BochsMemory(here)
present = st.integers(BLOCK, 3 * BLOCK - 1)


@given(present, st.integers(1, 200))
def test_bytes_are_those_of_their_blocks(address: int, size: int) -> None:
    size = min(size, 3 * BLOCK - address)
    assert ram.read(address, size) == here.expected(address, size)


def test_many_parts_at_once_and_what_is_not_there() -> None:
    wanted = [(BLOCK, 8), (0, 8), (3 * BLOCK - 4, 8), (5 * BLOCK, BLOCK), (BLOCK * BLOCKS - 4, 8), (2 * BLOCK - 4, 8)]
    parts = ram.read_parts(wanted)
    assert parts == [
        *(here.expected(BLOCK, 8), None, None, here.expected(5 * BLOCK, BLOCK), None),
        here.expected(2 * BLOCK - 4, 8),
    ]
    assert ram.ranges() == [Range(BLOCK, 3 * BLOCK), Range(5 * BLOCK, 6 * BLOCK)]


@pytest.mark.parametrize("address", [0, 3 * BLOCK, BLOCK * BLOCKS, 1 << 60])
def test_no_memory_is_not_readable(address: int) -> None:
    with pytest.raises(NotReadable):
        ram.read(address, 8)


def test_a_block_that_comes_to_be_is_seen() -> None:
    mine = Here()
    seen = BochsMemory(mine)
    with pytest.raises(NotReadable, match="not touched"):
        seen.read(0, 4)
    mine.table[0] = ctypes.addressof(mine.ram) + 3 * BLOCK
    assert seen.read(0, 4) == bytes(mine.ram[3 * BLOCK : 3 * BLOCK + 4])


def test_what_is_written_is_there() -> None:
    mine = Here()
    BochsMemory(mine).write(2 * BLOCK - 2, b"\1\2\3\4")
    assert mine.expected(2 * BLOCK - 2, 4) == b"\1\2\3\4"


def test_another_build_is_one_line() -> None:
    mine = Here()
    mine.header = (ctypes.c_uint64 * 64)(*range(64))
    with pytest.raises(TargetError, match="keeps its RAM otherwise"):
        BochsMemory(mine)


def test_a_process_that_is_no_bochs_is_one_line() -> None:
    with pytest.raises(TargetError, match="is no Bochs"):
        BochsProcess(os.getpid())
    with pytest.raises(TargetError, match="no process"):
        BochsProcess(2**22 + 1)


def test_memory_that_is_not_mapped_is_one_line() -> None:
    with pytest.raises(TargetError, match="cannot be read"):
        here.read([(8, 8)])
    assert struct.unpack("<Q", here.read([(ctypes.addressof(here.header), 8)])) == cast(tuple[int], (1,))
