"""Within what bounds is explored."""

from __future__ import annotations

import pytest

from sim_backend.memory.errors import SimError
from sim_backend.scenario.bounds import MOST, UNBOUNDED, Bounds


def test_numbers_are_all_but_the_prelude():
    assert "prelude" not in Bounds().numbers()
    assert set(Bounds().numbers().values()) == {0}
    assert Bounds().but(posts=2).numbers()["posts"] == 2


@pytest.mark.parametrize("number", [UNBOUNDED, 0, MOST])
def test_the_range(number):
    assert Bounds(posts=number).posts == number


@pytest.mark.parametrize("number", [-2, MOST + 1])
def test_beyond_the_range(number):
    with pytest.raises(SimError, match=rf"explore\.posts = {number}"):
        Bounds(posts=number)


def test_events_by_number_rule_symmetry_out():
    by_number = {name for name in Bounds().numbers() if Bounds().but(**{name: 1}).by_number}
    assert by_number == {
        *("attaches", "detaches", "offlines", "onlines", "retargets", "nmis", "swaps", "saves", "suspends"),
        *("rewrites", "unroutes", "loads", "broadcasts", "disables", "moves"),
    }
    assert {name for name in Bounds().numbers() if Bounds().but(**{name: 1}).rebinds} < by_number
