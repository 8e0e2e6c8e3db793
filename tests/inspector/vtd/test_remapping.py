"""A table as columns: what is present, what is stale, what could not be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import NotHere, NotReadable
from inspector.model.vtd import Gap, VtdUnit
from inspector.targets.target import Target
from inspector.vtd.remapping import PAGE, PER_PAGE, RemappingTable, allowed, bdf, entries_of, read
from structs.irte import IRTE, REMAPPED


class Memory(Target):
    """A table at 0x10000, of which pages may be missing."""

    description = "a made memory"

    def __init__(self, raw: bytes, missing: frozenset[int] = frozenset()) -> None:
        self.raw, self.missing = raw, missing

    def read(self, address: int, size: int) -> bytes:
        at = address - 0x10000
        pages = range(at // PAGE, -(-(at + size) // PAGE))
        if lost := sorted(self.missing.intersection(pages)):
            raise NotReadable(0x10000 + lost[0] * PAGE, size, "a hole")
        return self.raw[at : at + size]


def table(entries: int) -> RemappingTable:
    return RemappingTable(0, 0x10000, entries, 0, "IRTA")


def test_pages_that_are_missing_are_gaps():
    raw = REMAPPED.build({"p": 1, "vector": 0x40}) * (2 * PER_PAGE)
    found = read(Memory(raw, frozenset({1})), table(2 * PER_PAGE), "unit 0")
    assert found.gaps == (Gap(PER_PAGE, PER_PAGE),)
    assert found.missing == PAGE
    assert found.has_read(PER_PAGE - 1)
    assert not found.has_read(PER_PAGE)
    assert found.used().tolist() == list(range(PER_PAGE))


def test_a_table_that_is_nowhere_is_told_with_its_place():
    with pytest.raises(NotHere, match=r"unit 3's interrupt-remapping table of 4096 bytes at 0x10000 \(IRTA\)"):
        read(Memory(bytes(PAGE), frozenset({0})), table(PER_PAGE), "unit 3")


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=64))
def test_a_unit_keeps_every_bit_of_a_table(entries):
    raw = np.frombuffer(b"".join(entries), "u1").reshape(-1, IRTE.size)
    found = read(Memory(raw.tobytes()), table(len(entries)), "unit 0")
    used, stale = found.used(), found.stale_indices()
    unit = VtdUnit(
        0,
        0,
        base=0x10000,
        size=len(entries),
        indices=tuple(used.tolist()),
        raw=raw[used].tobytes(),
        stale_indices=tuple(stale.tolist()),
        stale_raw=raw[stale].tobytes(),
    )
    assert entries_of(unit).raw.tobytes() == raw.tobytes()
    assert found.stale() == sum(not entry[0] & 1 and any(entry) for entry in entries)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"svt": 0}, "anyone (not checked)"),
        ({"svt": 1, "sid": 0x18}, "00:03.0"),
        ({"svt": 1, "sid": 0x18, "sq": 3}, "00:03.0 and functions that differ in bits 2:0"),
        ({"svt": 2, "sid": 0x0105}, "buses 01 to 05"),
        ({"svt": 3}, "nobody (SVT 3 is reserved)"),
    ],
)
def test_who_may_use_an_entry(entry, words):
    assert allowed({"sid": 0, "sq": 0, **entry}) == words


def test_a_source_id_as_people_write_it():
    assert bdf(0xF0F8) == "f0:1f.0"
