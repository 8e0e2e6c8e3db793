"""The graph around a history: nothing in it that cannot be done, and nothing left out that can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.explore import explore
from sim_backend.explore.graph import around
from sim_backend.explore.materialise import values
from sim_backend.explore.model import Action, Model, Property
from sim_backend.explore.search import Search
from sim_backend.scenario.scenario import load


def counters(most, forbidden):
    """Two counters that grow up to `most`; the pair `forbidden` breaks a property."""

    def count(name):
        def act(view):
            if view[name] == most:
                return False
            view[name] += 1
            return True

        return act

    def safe(view):
        return (view["a"], view["b"]) != forbidden

    return Model(lambda key: 0, [Action("a", count("a")), Action("b", count("b"))], [Property("safe", safe)])


@given(st.integers(1, 5), st.data())
def test_each_state_has_the_actions_that_can_be_done_in_it(most, data):
    a, b = data.draw(st.integers(0, most)), data.draw(st.integers(0, most))
    search = Search(counters(most, (a, b)))
    search.run()
    graph = around(search, "safe")
    pairs = []
    for node in graph.nodes:
        state = values(search.fields, node.row)
        pairs.append((state.get("a", 0), state.get("b", 0)))
        assert node.enabled == tuple(name for name, value in zip("ab", pairs[-1], strict=True) if value < most)
        assert node.depth == sum(pairs[-1])
    assert len(set(pairs)) == len(pairs)
    for edge in graph.edges:
        (x, y), end = pairs[edge.start], pairs[edge.end]
        assert end == ((x + 1, y) if edge.action == "a" else (x, y + 1))
    taken = [edge for edge in graph.edges if edge.on_history]
    assert [edge.start for edge in taken] == [n for n, node in enumerate(graph.nodes) if node.on_history][:-1]
    assert pairs[taken[-1].end if taken else 0] == (a, b)
    history = [n for n, node in enumerate(graph.nodes) if node.on_history]
    assert {(edge.start, edge.action) for edge in graph.edges} == {
        (number, name) for number in history for name in graph.nodes[number].enabled
    }


def test_none_where_nothing_is_broken():
    search = Search(counters(2, (9, 9)))
    search.run()
    assert around(search, "safe") is None
    assert around(search, "nonsense") is None


@pytest.mark.thorough
def test_of_a_machine():
    found = explore(load("h-a"))
    (verdict,) = (each for each in found.result.verdicts if each.name == "no lost wakeup")
    graph = around(found.search, verdict.name)
    history = [node for node in graph.nodes if node.on_history]
    assert [node.depth for node in history] == list(range(len(history)))
    assert set(graph.nodes[0].enabled) >= {"block d1v0", "preempt d1v0", "post 00:03.0 0"}
    assert sum(edge.on_history for edge in graph.edges) == len(history) - 1
