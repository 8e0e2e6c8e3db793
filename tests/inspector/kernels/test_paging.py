"""Page walks over tables that a test lays out, against a model of what it laid out."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotReadable
from inspector.kernels.paging import NotMapped, PageTables
from inspector.targets.target import Target

SIZES = {21: 2 << 20, 30: 1 << 30, 12: 4096}


class Memory(Target):
    """Physical memory by page; what was never written is not there."""

    description = "test memory"

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def read(self, address: int, size: int) -> bytes:
        out = bytearray()
        while size > 0:
            page, offset = address & ~0xFFF, address & 0xFFF
            if page not in self.pages:
                raise NotReadable(address, size, "it was never written")
            part = self.pages[page][offset : offset + size]
            out += part
            address += len(part)
            size -= len(part)
        return bytes(out)

    def entry(self, table: int, index: int, value: int) -> None:
        struct.pack_into("<Q", self.pages.setdefault(table, bytearray(4096)), index * 8, value)


class Tables:
    """Maps pages of three sizes as an operating system would."""

    ROOT = 0x1000

    def __init__(self) -> None:
        self.memory = Memory()
        self.memory.pages[self.ROOT] = bytearray(4096)
        self.next = 0x2000
        self.tables: dict[tuple[int, int], int] = {}

    def map(self, virtual: int, physical: int, shift: int) -> None:
        table = self.ROOT
        for level in (39, 30, 21, 12):
            index = virtual >> level & 0x1FF
            if level == shift:
                self.memory.entry(table, index, physical | (0x80 if shift > 12 else 0) | 0x63 | 1 << 63)
                return
            key = (table, index)
            if key not in self.tables:
                self.tables[key] = self.next
                self.memory.entry(table, index, self.next | 0x63)
                self.memory.pages[self.next] = bytearray(4096)
                self.next += 0x1000
            table = self.tables[key]


mappings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 511), st.integers(0, (1 << 20) - 1), st.sampled_from([12, 21, 30])),
    min_size=1,
    max_size=6,
    unique_by=lambda mapping: mapping[:2],
)


@given(mappings, st.integers(0, (1 << 30) - 1))
def test_translation_follows_4k_2m_and_1g_pages(wanted, offset):
    tables = Tables()
    model = {}
    for half, gigabyte, frame, shift in wanted:
        # One page of some size in each gigabyte, in the upper canonical half.
        virtual = 0xFFFF800000000000 + (half << 39) + (gigabyte << 30)
        physical = frame << 30 & ((1 << 52) - 1) if shift == 30 else frame << shift
        tables.map(virtual, physical, shift)
        model[virtual] = (physical, shift)
    walk = PageTables(tables.memory, Tables.ROOT)
    for virtual, (physical, shift) in model.items():
        inside = offset % SIZES[shift]
        assert walk.translate(virtual + inside) == physical + inside
        if shift < 30:
            with pytest.raises(NotMapped):
                walk.translate(virtual + SIZES[shift])


def test_a_read_across_pages_joins_what_is_not_neighbouring():
    tables = Tables()
    tables.map(0x400000, 0x70000, 12)
    tables.map(0x401000, 0x50000, 12)
    tables.memory.pages[0x70000] = bytearray(b"a" * 4096)
    tables.memory.pages[0x50000] = bytearray(b"b" * 4096)
    walk = PageTables(tables.memory, Tables.ROOT)
    assert walk.read(0x400FFE, 4) == b"aabb"
    assert walk.pieces(0x400FFE, 4) == [(0x70FFE, 2), (0x50000, 2)]
    assert walk.read_parts([(0x400FFE, 4), (0x402000, 1), (0x401FFF, 2), (0x401FFF, 1)]) == [b"aabb", None, None, b"b"]
    with pytest.raises(NotMapped, match="0x402000"):
        walk.read(0x401FFF, 2)


@given(st.integers(0, (1 << 64) - 1))
def test_addresses_that_are_not_canonical_are_refused(address):
    walk = PageTables(Tables().memory, Tables.ROOT)
    with pytest.raises(NotMapped) as error:
        walk.translate(address)
    canonical = address < 1 << 47 or address >= (1 << 64) - (1 << 47)
    assert ("not canonical" in str(error.value)) != canonical


@given(st.integers(0, 1 << 32), st.lists(st.integers(0, (1 << 64) - 1), max_size=20))
def test_any_bytes_as_tables_give_an_answer_or_an_error(seed, addresses):
    memory = Memory()
    memory.pages[0x1000] = bytearray(random.Random(seed).randbytes(4096))
    walk = PageTables(memory, 0x1000)
    for address in [*addresses, *(0xFFFF800000000000 | index << 39 for index in range(256))]:
        try:
            walk.translate(address)
        except NotMapped:
            continue


def test_tables_that_lead_to_themselves_end():
    memory = Memory()
    memory.entry(0x1000, 511, 0x1000 | 1)
    assert PageTables(memory, 0x1000).translate((1 << 64) - 4096 + 5) == 0x1005
