"""Random walks: what they do can be done, and a search goes on from where they end."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.model import Action, Model
from sim_backend.explore.search import Search
from sim_backend.explore.walk import walk
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import History, started
from sim_backend.scenario.scenario import load


def two_counters(most):
    def count(name):
        def act(view):
            if view[name] == most:
                return False
            view[name] += 1 + view.choose(2) * view.choose(2) if view[name] < most - 1 else 1
            return True, (name,)

        return act

    return Model(lambda key: 0, [Action("a", count("a")), Action("b", count("b"))])


@given(st.integers(0, 12), st.integers(0, 50))
def test_it_ends_in_a_state_that_can_be_reached(actions, seed):
    model = two_counters(4)
    ended = walk(model, actions, seed)
    values = {key: ended.values.get(key, 0) for key in "ab"}
    assert ended == replace(walk(model, actions, seed), model=ended.model)
    assert len(ended.notes) <= sum(values.values()) <= 8
    assert len(ended.notes) == actions or values == {"a": 4, "b": 4}
    search = Search(ended.model)
    assert search.run().states == (5 - values["a"]) * (5 - values["b"])


def test_it_draws_everything():
    ends = {walk(two_counters(9), 1, seed).values.get("a") for seed in range(60)}
    assert ends == {None, 1, 2}


def test_on_a_machine_its_moves_are_a_history():
    scenario = load("h-a")
    for seed in range(5):
        machine = BoundedMachine(started(scenario, CURRENT), scenario.bounds)
        ended = walk(machine.model(), 20, seed)
        assert 0 < len(ended.notes) <= 20
        History(scenario, CURRENT, tuple(chain.from_iterable(ended.notes))).at()
