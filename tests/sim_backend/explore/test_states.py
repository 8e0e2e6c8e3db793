"""The set of states: each row once, by the number it first got."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.states import FIRST_ROWS, FIRST_SLOTS, States, hashed

words = st.sampled_from((0, 1, 2, 3, 1 << 40, (1 << 64) - 1))


def arrays(width):
    rows = st.lists(st.lists(words, min_size=width, max_size=width), min_size=1, max_size=40)
    return rows.map(lambda rows: np.array(rows, np.uint64))


@given(st.integers(1, 5).flatmap(lambda width: st.lists(arrays(width), min_size=1, max_size=4)))
def test_as_a_list_of_different_rows_in_the_order_in_which_they_came(parts):
    states, known = States(parts[0].shape[1]), {}
    for number, rows in enumerate(parts):
        before = len(known)
        for row in map(tuple, rows.tolist()):
            known.setdefault(row, number)
        assert states.add(rows, np.full(len(rows), number)) == len(known) - before
        assert states.count == len(known)
        found = states.find(rows).tolist()
        assert [tuple(states.rows[state].tolist()) for state in found] == list(map(tuple, rows.tolist()))
        assert [states.parent[state] for state in found] == [known[tuple(row)] for row in rows.tolist()]
    absent = np.full((1, parts[0].shape[1]), 77, np.uint64)
    assert states.find(absent).tolist() == [-1]


def test_rows_with_the_same_place_are_told_apart(monkeypatch):
    monkeypatch.setattr("sim_backend.explore.states.hashed", lambda rows: np.full(len(rows), 1 << 63, np.uint64))
    states, rows = States(2), np.arange(60, dtype=np.uint64).reshape(30, 2)
    assert states.add(np.concatenate((rows, rows)), np.zeros(60, np.int32)) == 30
    assert sorted(states.find(rows).tolist()) == list(range(30))
    assert states.find(rows + np.uint64(1000)).tolist() == [-1] * 30


def test_the_last_slot_is_followed_by_the_first(monkeypatch):
    monkeypatch.setattr("sim_backend.explore.states.hashed", lambda rows: np.full(len(rows), -1).astype(np.uint64))
    states, rows = States(1), np.arange(5, dtype=np.uint64)[:, None]
    states.add(rows, np.zeros(5, np.int32))
    assert sorted(states.find(rows).tolist()) == [0, 1, 2, 3, 4]


def test_what_was_found_stays_found_when_rows_and_table_grow():
    states, memory = States(1), States(1).bytes
    rows = np.arange(FIRST_SLOTS, dtype=np.uint64)[:, None] << np.uint64(20)
    for start in range(0, len(rows), FIRST_ROWS // 2 + 1):
        part = rows[start : start + FIRST_ROWS // 2 + 1]
        assert states.add(part, np.arange(start, start + len(part))) == len(part)
    assert states.count == len(rows)
    found = states.find(rows)
    assert np.array_equal(states.rows[found], rows)
    assert np.array_equal(states.parent[found], np.arange(len(rows)))
    assert states.bytes > 2 * memory


def test_moved_rows_keep_their_numbers():
    states, rows = States(1), np.arange(100, dtype=np.uint64)[:, None]
    states.add(rows, np.zeros(100, np.int32))
    numbers = states.find(rows)
    wider = np.concatenate((rows ^ np.uint64(0xFF), rows), axis=1)
    states.moved(lambda old: np.concatenate((old ^ np.uint64(0xFF), old), axis=1), 2)
    assert np.array_equal(states.find(wider), numbers)
    assert states.add(wider, np.zeros(100, np.int32)) == 0


@pytest.mark.parametrize("width", [1, 2, 5])
def test_every_word_counts_in_the_hash(width):
    row = np.zeros((1, width), np.uint64)
    others = np.eye(width, dtype=np.uint64)
    assert len({int(hashed(each[None])[0]) for each in (row[0], *others)}) == width + 1
