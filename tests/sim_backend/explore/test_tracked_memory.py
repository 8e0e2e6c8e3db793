"""Memory whose cells are a view's keys, against plain memory under the same accesses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.fields import Fields
from sim_backend.explore.tracked_memory import CELL, TrackedMemory
from sim_backend.explore.tracked_records import Shown
from sim_backend.explore.view import View
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory

LOCK, MIRROR = 0x48, 0x80


def shown_memory(base, locks=(), mirrors=()):
    """The memory, its view in the first state, and what shows it."""
    shown = Shown()
    memory = TrackedMemory(base, frozenset(locks), frozenset(mirrors), shown)
    view = View(Fields(memory.first))
    view.show(np.zeros(1, np.uint64))
    shown.show(view)
    return memory, view


def base_memory():
    base = Memory(2 * PAGE)
    base.write(0, bytes(range(256)))
    return base


addresses = st.integers(0, 250)
accesses = st.one_of(
    st.tuples(st.just("write"), addresses, st.binary(min_size=1, max_size=40)),
    *(st.tuples(st.just(f"set_u{bits}"), addresses, st.integers(0, (1 << bits) - 1)) for bits in (8, 16, 32, 64)),
    st.tuples(st.sampled_from(("test_and_set_bit", "test_and_clear_bit")), addresses, st.integers(0, 63)),
)


@given(st.lists(accesses, max_size=12))
def test_it_does_what_memory_does_and_leaves_the_base_alone(accesses):
    base, plain = base_memory(), base_memory()
    memory, view = shown_memory(base)
    for name, *arguments in accesses:
        assert getattr(memory, name)(*arguments) == getattr(plain, name)(*arguments)
    assert memory.read(0, 320) == plain.read(0, 320)
    for address in (0, 3, 61, 255):
        for size in (1, 2, 4, 8):
            assert getattr(memory, f"u{8 * size}")(address) == getattr(plain, f"u{8 * size}")(address)
    assert base.read(0, 256) == bytes(range(256))
    # What changed is what differs, a key for each 8 bytes.
    differ = {cell for cell in range(0, 320, CELL) if plain.u64(cell) != base.u64(cell)}
    assert view.changes() == {cell: plain.u64(cell) for cell in differ}


def test_a_lock_is_how_many_hold_or_want_it():
    base = base_memory()
    base.set_u32(LOCK, 0x0007_0005)
    memory, _ = shown_memory(base, locks=(LOCK,))
    assert memory.u32(LOCK) == 2 << 16
    memory.set_u16(LOCK + 2, 3)
    assert memory.u32(LOCK) == 3 << 16
    memory.set_u16(LOCK, 1)
    assert memory.u32(LOCK) == 2 << 16
    assert memory.u32(LOCK + 4) == base.u32(LOCK + 4)


def test_a_lock_that_wrapped_round_is_as_one_that_did_not():
    base = base_memory()
    base.set_u32(LOCK + 4, 0x0001_FFFF)
    memory, _ = shown_memory(base, locks=(LOCK + 4,))
    assert memory.u32(LOCK + 4) == 2 << 16


def test_the_release_that_waits_in_a_buffer_counts_from_where_the_lock_stands():
    base = base_memory()
    base.set_u32(LOCK, 0x0007_0005)
    memory, _ = shown_memory(base, locks=(LOCK,))
    assert memory.first_store((LOCK, 2, 6)) == (LOCK, 2, 1)
    assert memory.first_store((LOCK + 8, 2, 6)) == (LOCK + 8, 2, 6)


def test_stores_to_a_mirror_are_dropped():
    memory, view = shown_memory(base_memory(), mirrors=(MIRROR,))
    memory.write(MIRROR - 4, bytes(16))
    assert memory.read(MIRROR - 4, 16) == bytes(4) + bytes(range(MIRROR, MIRROR + 8)) + bytes(4)
    assert MIRROR not in view.changes()
    assert {MIRROR - 8, MIRROR + 8} <= view.changes().keys()


@pytest.mark.parametrize(("size", "value"), [(8, 256), (16, -1), (32, 1 << 32), (64, 1 << 64)])
def test_a_value_that_does_not_fit_is_refused(size, value):
    memory, view = shown_memory(base_memory())
    with pytest.raises(SimError):
        getattr(memory, f"set_u{size}")(0x20, value)
    assert view.changes() == {}


def test_only_the_bases_memory_is_there():
    memory, _ = shown_memory(base_memory())
    assert memory.has(2 * PAGE - 8, 8)
    assert not memory.has(2 * PAGE - 4, 8)
    with pytest.raises(SimError):
        memory.u64(2 * PAGE)
