"""What takes longer of `tests/inspector/explore/test_zoo.py`: larger hazards, and every state of larger scenarios."""

from __future__ import annotations

import time

import pytest

from inspector.analysis.situation import situation
from inspector.audit import BUG, audit
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.explore import Limits, explore
from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.every_state import every_state
from sim_backend.explore.search import Search
from sim_backend.explore.situations import situation as of_explorer
from sim_backend.logic.versions import CURRENT, VERSIONS
from sim_backend.machine.history import started
from sim_backend.scenario.bugs import BUGS, with_bugs
from sim_backend.scenario.scenario import load

LATENT = {"zoo-04": {"D1", "D2"}}
"""A vCPU that is blocked when the first device comes is on no list, with the notification vector: hazard h-c. No device
interrupts there, so nothing is lost."""

FIRST = {f"ZOO-{number:02}" for number in (*range(1, 10), 12, 14)} | {
    *("no-recheck", "stale-ndst", "sn-while-blocked", "wakeup-keeps-lock", "wakes-one", "nv-not-restored"),
    *("node-not-removed", "ndst-follows"),
}
"""The bugs that were there before the version 4.21 was: 19."""


def test_what_the_largest_hazards_break():
    broken = {verdict.name for verdict in explore(load("h-f")).result.broken}
    wanted = ["no lost wakeup", "no stranded interrupt", "not suppressed in the guest", "on one list, under its lock"]
    assert broken == {*wanted, "no message is lost", "nobody waits for ever", "Xen does not crash"}
    found = explore(load("h-e"), limits=Limits(states=400_000)).result
    assert "on one list, under its lock" in {verdict.name for verdict in found.broken}


@pytest.mark.parametrize(
    ("scenario", "changes"), [("zoo-03", ()), ("zoo-01", ()), ("zoo-04", ()), ("moving", ("repair-linux-sn",))]
)
def test_no_reachable_state_is_called_a_bug(scenario, changes, full_size):
    if scenario != "zoo-03" and not full_size:
        pytest.skip("not without --full-size")
    chosen, version = load(scenario), with_bugs(CURRENT, changes) if changes else CURRENT
    bounded = BoundedMachine(started(chosen, version), chosen.bounds)
    search = Search(bounded.model(), symmetry=False)
    assert search.run().exhausted
    found, inspection, count, start = {}, None, 0, time.process_time()
    for state, there in every_state(search, bounded.machine):
        inspection = Inspection(Simulation(there), before=inspection)
        for finding in audit(inspection.snapshot):
            if finding.severity == BUG:
                found.setdefault(finding.rule, (state, finding))
        for vcpu in inspection.snapshot.vcpus:
            where = situation(inspection.snapshot, vcpu)
            assert where is None or where.id == of_explorer(there, there.vcpu(vcpu.name))
        count += 1
    seconds = time.process_time() - start
    print(f"\n{scenario}: {search.states.count} states, {count} look different, {1000 * seconds / count:.1f} ms each")
    assert found.keys() == LATENT.get(scenario, set()), found


def test_what_finding_each_bug_costs():
    """CPU time until the shortest history of each is there, learning included, and the sum."""
    spent = {}
    for name, bug in BUGS.items():
        made = with_bugs(VERSIONS[bug.base], (*bug.hidden_by, name))
        start = time.process_time()
        found = explore(load(bug.scenario), made, Limits(first=True)).result
        spent[name] = time.process_time() - start
        assert found.broken, name
        print(f"\n{name:24} {found.states:7} states {spent[name]:6.2f} s", end="")
    first = sum(seconds for name, seconds in spent.items() if name in FIRST)
    print(f"\n{len(spent)} bugs: {sum(spent.values()):.1f} s, {first:.1f} s of it for the {len(FIRST)} first ones")
