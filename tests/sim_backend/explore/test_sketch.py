"""Counting states that several searches visited."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.model import Action, Model
from sim_backend.explore.search import Search
from sim_backend.explore.sketch import KEPT, NO_STATES, Sketch, sketch


def counters(first=(0, 0), most=4, order="ab"):
    """Two counters that only grow."""

    def count(name):
        def act(view):
            if view[name] == most:
                return False
            view[name] += 1
            return True

        return act

    values = dict(zip("ab", first, strict=True))
    return Model(values.__getitem__, [Action(name, count(name)) for name in order])


def counted(**words):
    search = Search(counters(**words), symmetry=False)
    search.run()
    return sketch(search, lambda key: 0, "ab")


small = st.integers(0, 4)


@given(small, small, small, small, st.sampled_from(("ab", "ba")))
def test_the_union_is_what_is_in_either(a, b, c, d, order):
    """Where a search begins, and the order in which it gives keys fields, make no difference."""
    one, other = counted(first=(a, b)), counted(first=(c, d), order=order)
    in_one = {(x, y) for x in range(a, 5) for y in range(b, 5)}
    in_other = {(x, y) for x in range(c, 5) for y in range(d, 5)}
    union = one.union(other)
    assert (one.count, other.count, union.count) == (len(in_one), len(in_other), len(in_one | in_other))
    assert (union.exact, union.error) == (True, 0.0)


def test_names_of_the_whole_space():
    search = Search(counters(first=(3, 3)), symmetry=False)
    search.run()
    names = sketch(search, lambda key: 0, "ab", lambda key, value: value - 1)
    assert names.union(counted(first=(2, 2))).count == 9
    assert names.union(counted(first=(2, 2), most=3)).count == 4


@pytest.mark.thorough
def test_an_estimate_is_near_and_says_how_near():
    chance = np.random.default_rng(1)
    for size in (KEPT - 1, KEPT, 10 * KEPT, 100 * KEPT):
        prints = np.unique(chance.integers(0, 1 << 64, size, np.uint64, endpoint=False))
        made = Sketch(prints[:KEPT])
        assert made.exact == (size < KEPT)
        assert abs(made.count - size) <= 5 * made.error * size
    assert NO_STATES.count == 0
