"""Fair cycles, on models small enough to be judged on paper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore.liveness import _edges, _endless, _where_false, components, fair_cycle
from sim_backend.explore.model import EVENTUALLY, Action, Model, Property
from sim_backend.explore.search import Search

REACHED = Property("reached", lambda view: view["at"] == "goal", EVENTUALLY)


def graph(*edges, environment=()):
    """An action for each edge; those of the environment are no progress."""

    def along(start, end):
        def act(view):
            if view["at"] != start:
                return False
            view["at"] = end
            return True

        return act

    actions = [Action(f"{a} {b}", along(a, b), progress=(a, b) not in environment) for a, b in edges]
    return Model(lambda key: "start", actions, [REACHED])


def searched(model, symmetry=False):
    search = Search(model, symmetry=symmetry)
    search.run()
    return search


def at(search, state):
    """The value of the only key."""
    field = search.fields.number["at"]
    return search.fields.values[field][int(search.fields.extract(search.states.rows[state], field))]


@pytest.mark.parametrize(
    ("edges", "environment", "on_cycle"),
    [
        ((("start", "goal"),), (), None),
        # There and back for ever: neither way out is ever neglected, for there is none.
        ((("start", "b"), ("b", "start")), (), {"start", "b"}),
        # The way out is possible only at one of the two: it may be missed for ever (weak fairness).
        ((("start", "b"), ("b", "start"), ("b", "goal")), (), {"start", "b"}),
        # A loop of one state which the way out is possible in: it is taken some time.
        ((("start", "start"), ("start", "goal")), (), None),
        # The environment owes nobody its step.
        ((("start", "start"), ("start", "goal")), (("start", "goal"),), {"start"}),
        # A cycle that goes through the goal is none in which it is never reached.
        ((("start", "goal"), ("goal", "start")), (), None),
        # A cycle that only the environment keeps up.
        ((("start", "b"), ("b", "start")), (("b", "start"),), None),
    ],
)
def test_weak_fairness(edges, environment, on_cycle):
    search = searched(graph(*edges, environment=environment))
    found = fair_cycle(search, 0)
    assert (found is None) == (on_cycle is None)
    if found is not None:
        assert at(search, found) in on_cycle


def test_both_parts_of_a_choice_are_one_action():
    """A loss that is drawn may be drawn for ever; one that is another action is not all that ever happens."""

    def send(view):
        if view["arrived"]:
            return False
        view["tries"] = (view["tries"] + 1) % 2
        view["arrived"] = not view.choose(2)
        return True

    arrives = Property("arrives", lambda view: view["arrived"], EVENTUALLY)
    search = searched(Model(lambda key: 0, [Action("send", send)], [arrives]))
    assert fair_cycle(search, 0) is not None


def test_the_plain_search_finds_the_same(plain, models):
    for model in (models.channel("process"), models.channel("choice"), models.token_ring(3), models.peterson()):
        search, simple = searched(model), plain(model)
        for number, asked in enumerate(model.properties):
            if asked.kind == EVENTUALLY:
                false = {state for state in simple.depth_of if not simple.true(asked, state)}
                assert (fair_cycle(search, number) is None) == (not simple.endless(false))


def test_a_long_way_out_is_no_cycle():
    steps = [(f"{n}" if n else "start", f"{n + 1}") for n in range(30)]
    search = searched(graph(*steps))
    assert fair_cycle(search, 0) is None
    ring = searched(graph(*steps, ("30", "15")))
    found = fair_cycle(ring, 0)
    assert int(at(ring, found)) >= 15


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_the_states_that_reach_each_other(drawn):
    count, pairs = drawn
    edges = np.array(sorted(pairs), np.int32).reshape(-1, 2).T
    reached = np.eye(count, dtype=bool)
    reached[edges[0], edges[1]] = True
    for between in range(count):
        reached |= reached[:, [between]] & reached[[between]]
    part = components(count, edges)
    assert np.array_equal(part[:, None] == part[None], reached & reached.T)
    assert sorted(set(part.tolist())) == list(range(max(part) + 1))


def test_a_long_way_is_no_recursion():
    edges = np.array([np.arange(50_000), np.roll(np.arange(50_000), 1)], np.int32)
    assert set(components(50_000, edges).tolist()) == {0}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("turned", [False, True])
def test_compiled_code_finds_the_same_states(kernels, models, threads, turned):
    """Those from which a walk in which a test stays false need not end, of more states than one word marks."""
    everything = [models.philosophers(6, symmetries=models.rotations(6) if turned else ())]
    everything += [] if turned else [models.token_ring(9), models.peterson(), graph(("start", "b"), ("b", "start"))]
    for model in everything:
        search = Search(model, symmetry=turned, compile_from=0, threads=threads)
        assert search.run().exhausted
        for number, asked in enumerate(model.properties):
            if asked.kind == EVENTUALLY:
                wanted = _endless(_edges(search, _where_false(search, number)))
                assert search.compiled.endless(number).tolist() == sorted(set(wanted.tolist()))
    assert any(len(search.compiled.endless(n)) for n in range(len(model.properties)))
