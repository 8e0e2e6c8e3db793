"""Compressed states are the same states as plain ones, by the same numbers, in less memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.states import States

# Few values of each word, so that rows are met again; the largest ones too.
words = st.sampled_from((0, 1, 2, 3, 5, 1 << 40, (1 << 64) - 1))


def arrays(width):
    return st.lists(st.lists(words, min_size=width, max_size=width), min_size=1, max_size=60).map(
        lambda rows: np.array(rows, np.uint64)
    )


@pytest.mark.thorough
@given(st.integers(1, 7).flatmap(lambda width: st.lists(arrays(width), min_size=1, max_size=4)))
def test_as_a_list_of_different_rows(kernels, parts):
    from sim_backend.explore.compressed import compressed

    known = list(dict.fromkeys(map(tuple, parts[0].tolist())))
    states = compressed(np.array(known, np.uint64), np.zeros(len(known), np.int32))
    for rows in parts:
        states.add(rows)
        known = list(dict.fromkeys([*known, *map(tuple, rows.tolist())]))
        assert list(map(tuple, states.rows[:].tolist())) == known
        assert states.find(rows).tolist() == [known.index(tuple(row)) for row in rows.tolist()]
    assert states.find(np.full((1, parts[0].shape[1]), 77, np.uint64)).tolist() == [-1]
    turned = states.moved(lambda rows: rows << np.uint64(9) | rows >> np.uint64(55), parts[0].shape[1])
    assert turned is states
    assert states.find(states.rows[:]).tolist() == list(range(len(known)))
    states = states.moved(lambda rows: rows >> np.uint64(9) | rows << np.uint64(55), parts[0].shape[1])
    assert list(map(tuple, states.rows[:].tolist())) == known
    before = states.rows[:].tolist()
    moved = states.moved(lambda rows: np.concatenate((rows, rows[:, :1] ^ np.uint64(1)), axis=1), parts[0].shape[1] + 1)
    assert moved.rows[:][:, :-1].tolist() == before
    assert moved.find(moved.rows[:]).tolist() == list(range(len(known)))


@given(st.lists(st.integers(1, 1 << 20), min_size=1, max_size=24), st.integers(0, 1 << 14))
def test_numbers_have_places_of_their_own_in_the_set_above(kernels, counts, room):
    from sim_backend.explore.compressed import shape_for

    rows = np.random.default_rng(0).integers(0, counts, (64, len(counts))).astype(np.uint64)
    shape = shape_for(rows, counts, room)
    taken = [0] * shape.count
    for which, (up, shift, bits) in enumerate(zip(shape.up, shape.shift, shape.bits, strict=True)):
        assert which < up < shape.count
        place = (1 << bits) - 1 << shift
        assert taken[up] & place == 0
        taken[up] |= place
        assert which >= len(counts) or counts[which] + room < 1 << bits
    assert all(each < 1 << 64 for each in taken)
    assert all(taken[len(counts) :]) or len(counts) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("on_disk", [False, True])
def test_many_states_grow_and_take_another_shape(kernels, tmp_path, on_disk):
    from sim_backend.explore.compressed import compressed

    count, chance = 60_000, np.random.default_rng(0)
    rows = np.stack([chance.integers(0, most, count, np.uint64) for most in (50, 3, 2_000, 40, 9, 7)], axis=1)
    first = np.unique(rows[:20] * np.array([1, 0, 0, 0, 0, 0], np.uint64), axis=0)
    rows = np.concatenate((first, rows))
    states, plain = compressed(first, np.zeros(len(first), np.int32), tmp_path if on_disk else None), States(6)
    mask = states.sets.mask.tolist()
    plain.add(rows, np.zeros(len(rows), np.int32))
    states.add(rows)
    assert states.count == plain.count == len(np.unique(rows, axis=0))
    assert np.array_equal(np.unique(states.rows[:], axis=0), np.unique(plain.rows[: plain.count], axis=0))
    assert states.bytes < plain.bytes / 2
    assert states.sets.mask.tolist() != mask
    assert list(tmp_path.iterdir()) == []
