"""The XArray and the maple tree, against dictionaries."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.linux.trees import BrokenTree, maple_tree, xarray
from tests.inspector.linux import made_interrupts
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_linux import DIRECT, MadeLinux

MADE = MadeLinux()
MAPLE, XARRAY = (MADE.variable(name, bytes(24)) for name in ("a_maple_tree", "an_xarray"))
LINUX, TARGET = found(MADE)
HEAP = MADE._heap


def of(root: int, member: int, head: int) -> None:
    MADE.write(root + member, struct.pack("<Q", head))


@given(st.dictionaries(st.integers(0, 60), st.integers(1, 1 << 20).map(lambda n: DIRECT + 16 * n), max_size=40))
@settings(max_examples=80)
def test_a_maple_tree_is_read_as_what_it_was_made_of(entries):
    MADE._heap = HEAP
    of(MAPLE, 8, made_interrupts.maple(MADE, entries) if entries else 0)
    assert maple_tree(LINUX, MAPLE) == entries
    assert list(maple_tree(LINUX, MAPLE)) == sorted(entries)


@given(st.dictionaries(st.integers(0, 4000), st.integers(1, 1 << 20).map(lambda n: DIRECT + 16 * n), max_size=40))
@settings(max_examples=80)
def test_an_xarray_is_read_as_what_it_was_made_of(entries):
    MADE._heap = HEAP
    of(XARRAY, 16, made_interrupts.xarray(MADE, entries) if entries else 0)
    assert xarray(LINUX, XARRAY) == entries


def test_one_entry_needs_no_node():
    of(XARRAY, 16, DIRECT + 64)
    of(MAPLE, 8, DIRECT + 64)
    assert xarray(LINUX, XARRAY) == maple_tree(LINUX, MAPLE) == {0: DIRECT + 64}


@given(st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_damage_ends_in_an_error_or_in_entries_and_never_hangs(data):
    MADE._heap = HEAP
    entries = {number: DIRECT + 64 * number for number in range(1, 50, 2)}
    of(MAPLE, 8, made_interrupts.maple(MADE, entries))
    of(XARRAY, 16, made_interrupts.xarray(MADE, entries))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(HEAP, MADE._heap - 8)) & ~7
        pointer = st.integers(HEAP >> 4, MADE._heap >> 4).map(lambda n: DIRECT + 16 * n | 0x1E)
        MADE.raw[at : at + 8] = data.draw(st.one_of(st.integers(0, (1 << 64) - 1), pointer)).to_bytes(8, "little")
    for walk, root in ((maple_tree, MAPLE), (xarray, XARRAY)):
        with suppress(BrokenTree):
            assert len(walk(LINUX, root)) < 1 << 16


def test_a_node_that_leads_to_itself_and_one_that_is_not_there():
    MADE._heap = HEAP
    node = MADE.allocate(bytes(560)) | 2
    MADE.write((node & ~2) + 3, b"\x06")
    MADE.write((node & ~2) + 48, struct.pack("<Q", node))
    of(XARRAY, 16, node)
    with pytest.raises(BrokenTree, match="a second time"):
        xarray(LINUX, XARRAY)
    of(XARRAY, 16, DIRECT + (1 << 40) | 2)
    with pytest.raises(BrokenTree, match="cannot be read"):
        xarray(LINUX, XARRAY)
