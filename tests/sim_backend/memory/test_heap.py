"""Xen's heap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import PAGE, Memory

SIZE = 64 * PAGE


@given(st.lists(st.one_of(st.integers(1, 3 * PAGE), st.none()), max_size=40))
def test_nothing_is_handed_out_twice_and_all_of_it_is_zeroed(wishes):
    """None frees the oldest object."""
    memory, heap, held = Memory(SIZE), Heap(PAGE, SIZE), []
    for size in wishes:
        if size is None:
            if held:
                heap.release(*held.pop(0))
            continue
        try:
            at = heap.small(memory, size)
        except SimError:
            break
        assert memory.read(at, size) == bytes(size)
        assert all(at + size <= other or other + length <= at for other, length in held)
        memory.write(at, b"x" * size)
        held.append((at, size))


def test_alignment():
    memory, heap = Memory(SIZE), Heap(PAGE, SIZE)
    assert heap.small(memory, 1) % 64 == 0
    assert heap.pages(memory, 2, 8 * PAGE) % (8 * PAGE) == 0


def test_a_full_heap_says_what_to_do():
    memory, heap = Memory(SIZE), Heap(PAGE, 4 * PAGE)
    with pytest.raises(SimError, match="give the machine more memory"):
        heap.pages(memory, 4)
    assert heap.pages(memory, 3) == PAGE, "nothing was taken by what did not fit"


def test_a_copy_and_what_was_saved_go_on_alike():
    memory, heap = Memory(SIZE), Heap(PAGE, SIZE)
    first = heap.small(memory, 100)
    heap.release(first, 100)
    for other in (heap.copy(), Heap.restored(heap.state())):
        assert other.small(memory, 100) == first
        assert other.small(memory, 100) != first
    assert heap.small(memory, 100) == first
