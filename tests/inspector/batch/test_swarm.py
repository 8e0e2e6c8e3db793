"""Several searches of one scenario: no state is counted twice, and no history is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.base.errors import TargetError
from inspector.batch.swarm import Member, explored, is_whole, members, swarm
from sim_backend.explore import explore
from sim_backend.explore.search import Limits
from sim_backend.logic.versions import CURRENT
from sim_backend.scenario.bounds import Bounds
from sim_backend.scenario.scenario import load


def first(scenario="h-a", **limits):
    loaded = load(scenario)
    return Member(0, loaded, CURRENT, loaded.bounds, Limits(**limits))


@pytest.fixture(scope="module")
def whole():
    return explored(first())


@pytest.mark.thorough
def test_the_first_one_is_the_scenario_as_it_is(whole):
    alone = explore(load("h-a"), symmetry=False).result
    assert whole.exhausted
    assert (whole.states, whole.depth) == (alone.states, alone.depth)
    assert whole.sketch.count == alone.states
    lengths = {each.name: len(each.moves) for each in alone.broken}
    assert {each.name: len(each.moves) for each in whole.verdicts if each.verdict == "broken"} == lengths


@pytest.mark.thorough
def test_what_the_others_visit_is_part_of_it(whole):
    for member in list(members(first(), 6))[1:]:
        result = explored(member)
        assert not is_whole(member)
        assert result.sketch.count == result.states
        assert whole.sketch.union(result.sketch).count == whole.states


def test_members_differ_and_are_the_same_each_time():
    made = list(members(first("two-by-two"), 9))
    assert made == list(members(first("two-by-two"), 9))
    assert [bool(each.walk) for each in made] == [False, False, True, False, True, False, True, False, True]
    assert all(each.bounds != made[0].bounds for each in made[1::2])
    for each in made[1::2]:
        assert all(
            0 <= n <= m for n, m in zip(each.bounds.numbers().values(), made[0].bounds.numbers().values(), strict=True)
        )
    assert list(members(Member(0, load("h-a"), CURRENT, Bounds(), Limits()), 2))[1].bounds == Bounds()


@pytest.mark.thorough
def test_a_space_too_large_is_not_said_to_be_exhausted():
    made = swarm(list(members(first("two-by-two", states=300), 3)), 1)
    assert not made.exhausted
    assert {result.stopped for _, result in made.results.values()} <= {"budget of 300 states", None}
    assert made.states.count > 300


@pytest.mark.thorough
def test_histories_are_of_the_whole_scenario():
    """Also those of searches that began after a walk."""
    made = swarm(list(members(first(), 5)), 1)
    assert made.exhausted
    assert (made.left, made.failures) == (0, {})
    for found in made.broken().values():
        for _, verdict in found:
            assert made.history(verdict).at().steps


@pytest.mark.thorough
def test_on_a_cluster_alike(dask):
    asked = list(members(first(states=500), 3))
    here, there = swarm(asked, 1), swarm(asked, 1, dask)
    assert here.states.count == there.states.count
    assert [result.states for _, result in here.results.values()] == [
        result.states for _, result in there.results.values()
    ]


def test_no_such_machine():
    with pytest.raises(TargetError, match="properties none: "):
        swarm([replace(first(), properties="none")], 1)
