"""Every state that was reached, as a machine, once for all that look alike."""

from __future__ import annotations

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.every_state import alike, every_state
from sim_backend.explore.search import Search
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.machine.invariants import applicable, problems
from sim_backend.scenario.scenario import load


def test_they_are_machines_that_hold_what_must_hold():
    scenario = load("upcall")
    bounded = BoundedMachine(started(scenario, CURRENT), scenario.bounds)
    search = Search(bounded.model(), symmetry=False)
    assert search.run().exhausted
    kinds = alike(search, bounded.machine)
    assert 0 < len(kinds) < search.states.count
    held = applicable(CURRENT, bounded.machine.context.workload)
    seen = set()
    for number, machine in every_state(search, bounded.machine):
        seen.add(number)
        assert problems(machine, held) == [], number
    assert sorted(seen) == kinds.tolist()
