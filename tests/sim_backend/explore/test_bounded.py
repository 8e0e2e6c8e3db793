"""The machine as a model: what occurs, and that what is found is what the machine does."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from sim_backend.explore import Limits, explore
from sim_backend.explore.paths import moves_to
from sim_backend.explore.result import SEEN
from sim_backend.explore.tracked import DOING, TrackedMachine
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import History
from sim_backend.scenario.bugs import with_bugs
from sim_backend.scenario.scenario import load

RESULT = 1
"""Of a CPU's state: what nobody reads any more is dropped earlier by the explorer than by the machine."""


@pytest.mark.thorough
def test_each_hook_and_each_situation_occurs():
    found = explore(load("situations")).result
    assert found.exhausted
    some = [verdict for verdict in found.verdicts if verdict.kind == "sometimes"]
    assert len(some) == 7 + 11 + 1
    assert {verdict.name for verdict in some if verdict.verdict != SEEN} == set()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "change"),
    [("h-a", None), ("h-b", None), ("h-n", None), ("h-o", None), ("zoo-12", "ZOO-12"), ("upcall", "nv-not-restored")],
)
def test_steps_at_once_hide_nothing(name, change, monkeypatch):
    version = with_bugs(CURRENT, [change] if change else [])
    together = explore(load(name), version).result
    monkeypatch.setattr("sim_backend.explore.bounded.MOST_AT_ONCE", 0)
    one_by_one = explore(load(name), version).result
    assert one_by_one.states > together.states
    assert [(v.name, v.verdict) for v in one_by_one.verdicts] == [(v.name, v.verdict) for v in together.verdicts]
    assert together.broken


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("zoo-01", {"posts": 1, "preemptions": 0}),
        ("zoo-07", {"posts": 2}),
        ("zoo-07", {"posts": 1, "detaches": 1}),
    ],
)
def test_a_device_that_interrupts_while_it_comes_and_goes_breaks_nothing(name, bounds):
    """Its interrupts are posted by the unit or by Xen, or are the host's, whatever its entry was at first."""
    scenario = load(name)
    found = explore(replace(scenario, bounds=scenario.bounds.but(**bounds))).result
    assert found.exhausted
    assert not found.broken


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["h-a", "h-n", "upcall"])
def test_the_machine_does_again_what_was_found(name):
    found = explore(load(name), symmetry=False, limits=Limits(states=10_000))
    search, fields = found.search, found.search.fields
    for state in np.random.default_rng(1).integers(0, search.states.count, 12).tolist():
        moves = tuple(chain.from_iterable(moves_to(search, state)))
        machine = TrackedMachine(History(found.scenario, found.version, moves).at())
        for field, key in enumerate(fields.keys):
            if isinstance(key, tuple) and key[0] in ("left", "posted"):
                continue
            expected = fields.values[field][int(fields.extract(search.states.rows[state], field))]
            assert _alike(key, machine.first(key)) == _alike(key, expected), (state, key)


def _alike(key, value):
    doing = isinstance(key, tuple) and key[1] == DOING
    return (*value[:RESULT], *value[RESULT + 1 :]) if doing else value
