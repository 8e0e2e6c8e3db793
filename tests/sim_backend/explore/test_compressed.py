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
    moved = states.moved(lambda rows: np.concatenate((rows, rows[:, :1] ^ np.uint64(1)), axis=1), parts[0].shape[1] + 1)
    assert moved.rows[:][:, :-1].tolist() == states.rows[:].tolist()


@pytest.mark.thorough
@pytest.mark.parametrize("on_disk", [False, True])
def test_many_states_grow_and_take_another_shape(kernels, tmp_path, on_disk):
    from sim_backend.explore.compressed import compressed

    count, chance = 60_000, np.random.default_rng(0)
    rows = np.stack([chance.integers(0, most, count, np.uint64) for most in (50, 3, 2_000, 40)], axis=1)
    first = np.unique(rows[:20] * np.array([1, 0, 0, 0], np.uint64), axis=0)
    rows = np.concatenate((first, rows))
    states, plain = compressed(first, np.zeros(len(first), np.int32), tmp_path if on_disk else None), States(4)
    shape = states.sets.left.tolist()
    plain.add(rows, np.zeros(len(rows), np.int32))
    states.add(rows)
    assert states.count == plain.count == len(np.unique(rows, axis=0))
    assert np.array_equal(np.unique(states.rows[:], axis=0), np.unique(plain.rows[: plain.count], axis=0))
    assert states.bytes < plain.bytes / 2
    assert states.sets.left.tolist() != shape
    assert list(tmp_path.iterdir()) == []
