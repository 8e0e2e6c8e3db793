"""The invalidation queue: what is done, what is pending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.model.vtd import Queue
from inspector.vtd.queue import descriptor, in_words, slots
from structs.invalidation import DESCRIPTOR

SIZE = 16


def ring(count: int, head: int | None, tail: int | None) -> Queue:
    """A ring whose slots all hold something."""
    return Queue(0x1000, b"\x04" + bytes(15) + (b"\x04" + bytes(15)) * (count - 1), SIZE, head, tail)


@given(st.integers(1, 64), st.data())
def test_each_slot_is_told_at_most_once_and_the_pending_ones_last(count, data):
    head, tail = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    told = list(slots(ring(count, head, tail), count))
    assert len({slot for slot, _ in told}) == len(told) == count
    pending = [slot for slot, state in told if state == "pending"]
    assert pending == [(head + ahead) % count for ahead in range((tail - head) % count)]
    assert [state for _, state in told] == ["done"] * (count - len(pending)) + ["pending"] * len(pending)


def test_without_registers_nothing_is_said_of_head_and_tail():
    queue = ring(4, None, None)
    assert list(slots(queue, 1)) == [(slot, "unknown") for slot in range(4)]
    assert "head and tail are registers" in in_words(queue)


def test_a_blank_slot_that_was_done_is_left_out():
    queue = Queue(0x1000, bytes(SIZE) + b"\x04" + bytes(15), SIZE, 0, 0)
    assert list(slots(queue, 2)) == [(1, "done")]


def test_a_descriptor_is_taken_apart_by_its_type():
    record, values = descriptor(ring(2, 0, 0), 1)
    assert record is DESCRIPTOR.record_of(b"\x04" + bytes(15))
    assert values["type"] == pytest.approx(4)
