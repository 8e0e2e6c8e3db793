"""Records whose fields are a view's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sim_backend.explore.fields import Fields
from sim_backend.explore.tracked_records import Shown, frozen_part, parts_of, put_part, tracked
from sim_backend.explore.view import Shared, View
from sim_backend.logic.kinds import NUMBER, ByCpu, ListOf, held


@dataclass(slots=True, eq=False)
class Record:
    alone: int = held(NUMBER)
    queue: list[int] = held(ListOf(NUMBER), part="both")
    result: int = held(NUMBER, part="both")
    by_cpu: list[int] = held(ByCpu(NUMBER), each=True)
    kept: int = held(NUMBER, searched=False)


BASE = Record(7, [1, 2], 3, [10, 20], 99)


def first(key):
    _, part, *place = key
    if place:
        return BASE.by_cpu[place[0]]
    return frozen_part(BASE, next(fields for fields in parts_of(Record) if fields[0].part == part))


@pytest.fixture
def shown():
    """A record in the first state, and its view."""
    view = View(Fields(first))
    view.show(np.zeros(1, np.uint64))
    shown = Shown()
    record = tracked(BASE, "r", shown)
    shown.show(view)
    return record, view, shown


def test_it_reads_as_the_state_and_stores_there(shown):
    record, view, showing = shown
    assert (record.alone, record.queue, record.result, record.by_cpu[1], record.kept) == (7, [1, 2], 3, 20, 99)
    record.queue.append(5)
    record.alone = 8
    record.by_cpu[0] = 11
    showing.store()
    assert view.changes() == {("r", "both"): ((1, 2, 5), 3), ("r", "alone"): 8, ("r", "by_cpu", 0): 11}
    assert BASE.queue == [1, 2]


def test_what_was_only_read_is_no_change(shown):
    record, view, showing = shown
    assert record.queue == [1, 2]
    showing.store()
    assert view.changes() == {}


def test_another_state_is_read_anew(shown):
    record, view, showing = shown
    record.queue.append(5)
    showing.show(view)
    assert record.queue == [1, 2]


def test_kept_and_restored(shown):
    record, _, _ = shown
    record.result = 4
    kept = record.keep()
    record.queue.clear()
    record.result = 5
    record.restore(kept)
    assert (record.queue, record.result) == ([1, 2], 4)


def test_a_step_among_its_own_touches_nothing_else(shown):
    record, view, showing = shown
    for key in (("r", "alone"), ("r", "both")):
        view.fields.add(key)
    view.show(np.zeros(view.fields.words, np.uint64))
    showing.show(view)
    view.own = {("r", "both")}
    assert record.result == 3
    with pytest.raises(Shared):
        _ = record.alone
    with pytest.raises(Shared):
        record.alone = 8


def test_what_others_write_is_not_written_among_ones_own(shown):
    _, view, showing = shown
    record = tracked(BASE, "r", showing, written_by_others=True)
    view.own = {("r", "alone")}
    assert record.alone == 7
    with pytest.raises(Shared):
        record.alone = 8


def test_unknown_attributes_are_refused(shown):
    record, _, _ = shown
    with pytest.raises(AttributeError):
        record.alnoe = 1


def test_a_list_by_item_is_not_read_as_a_whole(shown):
    record, _, _ = shown
    with pytest.raises(TypeError, match="one by one"):
        list(record.by_cpu)


def test_put_is_the_inverse_of_frozen():
    other = Record(0, [], 0, [0, 0], 0)
    for part in parts_of(Record):
        put_part(other, part, frozen_part(BASE, part))
    assert (other.alone, other.queue, other.result) == (7, [1, 2], 3)
