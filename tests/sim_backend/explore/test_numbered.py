"""Sets by number: a value has one number, whatever it meets; trees of them; several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest


@pytest.fixture
def numbered(kernels):
    from sim_backend.explore import numbered

    return numbered


def sets_with(rows):
    from sim_backend.explore.compressed import compressed

    return compressed(rows, np.zeros(len(rows), np.int32))


def test_values_that_meet_in_a_slot_have_numbers_of_their_own(numbered):
    """More values than there are slots for without any meeting, then all found again."""
    chance = np.random.default_rng(1)
    first = np.zeros((1, 3), np.uint64)
    rows = np.unique(chance.integers(0, 1 << 63, (3000, 3), np.uint64), axis=0)
    states = sets_with(first)
    states.add(np.concatenate((rows, rows[::-1])))
    numbers = states.find(rows)
    assert np.array_equal(numbers, np.arange(1, len(rows) + 1))
    assert states.find(rows ^ np.uint64(1)).tolist() == [-1] * len(rows)
    found = np.empty((len(rows), 3), np.uint64)
    numbered.rows(states.sets, numbers, found)
    assert np.array_equal(found, rows)


@pytest.mark.parametrize("bits", [12, 32])
def test_what_a_slot_has_of_a_hash_decides_nothing(numbered, bits):
    """With much of each value's hash beside its number, and with nothing of it, the same numbers."""
    states = sets_with(np.zeros((1, 2), np.uint64))
    for which in range(len(states.sets.about)):
        states._slots[which] = states._give_slots(which, 3000)
        states.sets.about[which, numbered.NUMBERS] = (1 << bits) - 1
        numbered.refill(states.sets.about, which, 0, 1)
    chance = np.random.default_rng(2)
    rows = np.unique(chance.integers(1, 1 << 63, (2000, 2), np.uint64), axis=0)
    assert numbered.add(states.sets, np.concatenate((rows, rows)), 0) == 2 * len(rows)
    assert np.array_equal(states.find(rows), np.arange(1, len(rows) + 1))
    assert (states.find(rows ^ np.uint64(1)) == -1).all()


def test_add_stops_before_a_set_is_full(numbered):
    """Nothing that was added before it stopped is lost, and it goes on from there."""
    states = sets_with(np.zeros((1, 2), np.uint64))
    limit = int(states.sets.about[:, numbered.LIMIT].min())
    rows = np.arange(2, 2 * limit, dtype=np.uint64)[:, None] * np.array([1, 1], np.uint64)
    done = numbered.add(states.sets, rows, 0)
    assert 0 < done < len(rows)
    assert numbered.add(states.sets, rows, done) == done
    states.make_room(numbered.TOGETHER)
    assert numbered.add(states.sets, rows, done) > done
    assert np.array_equal(states.find(rows[:done]), np.arange(1, done + 1))


def test_values_move_when_numbers_have_other_places(numbered):
    chance = np.random.default_rng(3)
    rows = np.unique(chance.integers(1, [2000, 2000, 50, 50], (3000, 4), np.uint64), axis=0)
    states = sets_with(rows)
    shift = states.sets.shift.copy()
    states._room = 3000
    states._reshape()
    assert states.sets.shift.tolist() != shift.tolist()
    assert np.array_equal(states.rows[:], rows)
    assert np.array_equal(states.find(rows), np.arange(len(rows)))


@pytest.mark.parametrize("words", [1, 3, 7, 12])
def test_rows_of_many_words_have_sets_between(numbered, words):
    """Seven words' numbers do not fit into one value."""
    chance = np.random.default_rng(words)
    rows = chance.integers(0, 1 << 63, (2000, words), np.uint64)
    states = sets_with(rows)
    assert (len(states.sets.up) > words + 1) == (words >= 7)
    assert np.array_equal(states.rows[:], rows)
    assert np.array_equal(states.find(rows), np.arange(len(rows)))


def test_threads_that_add_the_same_values_agree(numbered):
    chance = np.random.default_rng(4)
    rows = np.unique(chance.integers(0, 300, (30_000, 2), np.uint64), axis=0)
    states = sets_with(rows[:1])
    states.make_room(2 * len(rows))
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda part: numbered.add(states.sets, np.ascontiguousarray(part), 0), [rows] * 4))
    assert done == [len(rows)] * 4
    assert states.count == len(rows)
    assert np.array_equal(np.sort(states.find(rows)), np.arange(len(rows)))
