"""A state as one step sees it."""

from __future__ import annotations

import numpy as np
import pytest

from sim_backend.explore.fields import Fields
from sim_backend.explore.view import Shared, View


@pytest.fixture
def view():
    fields = Fields(lambda key: 0)
    fields.add("a")
    view = View(fields)
    view.show(np.zeros(fields.words, np.uint64))
    return view


def test_what_is_read_and_changed_is_noted(view):
    assert (view["a"], view["b"]) == (0, 0)
    assert view.reads == [(0, 0)], "what has no field is not among it"
    view["a"] = 5
    view["c"] = 0
    assert (view["a"], view.changes()) == (5, {"a": 5})
    assert view.constants == {"b", "c"}


def test_choices_are_a_script_and_then_the_first(view):
    view.show(np.zeros(1, np.uint64), (2,))
    assert [view.choose(3), view.choose(1), view.choose(4)] == [2, 0, 0]
    assert view.drawn == [(2, 3), (0, 4)]


def test_among_its_own(view):
    view.own = {"b"}
    view["b"] = 1
    with pytest.raises(Shared):
        view["a"] = 1
    with pytest.raises(Shared):
        view.touch("a")
    view.touch("never touched")
    assert view["never changes"] == 0
    assert view.constants == {"never touched", "never changes"}
