"""The audit beside a machine that moves: between any two steps, nothing that is legal is called a bug."""

from __future__ import annotations

from collections import Counter

import pytest

from inspector.analysis.situation import SITUATIONS, situation
from inspector.audit import audit
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

STEPS, BETWEEN = 2400, 23

# Devices that come while vCPUs are blocked leave those with the notification vector, on no list: in the model.
HAZARDS = {"hotplug": {"D1", "D2"}}


def watched(scenario, version, seed):
    """Bugs that the audit found in a run, by rule, and the situations that vCPUs were in."""
    machine = Machine(load(scenario), version=version, seed=seed)
    bugs: Counter[str] = Counter()
    seen: set[str] = set()
    for step in range(STEPS):
        machine.step()
        if step % BETWEEN == 0:
            snapshot = Inspection(Simulation(machine)).snapshot
            assert snapshot.problems == ()
            bugs.update(finding.rule for finding in audit(snapshot) if finding.severity == "bug")
            seen |= {where.id for vcpu in snapshot.vcpus if (where := situation(snapshot, vcpu))}
    return bugs, seen


@pytest.mark.thorough
@pytest.mark.parametrize(
    "scenario", ["one-device", "oversubscribed", "wakeup-storm", "migration", "cpu-offline", "hotplug"]
)
def test_no_bug_in_the_current_version(scenario):
    bugs, seen = watched(scenario, "current", seed=3)
    assert set(bugs) <= HAZARDS.get(scenario, set())
    assert {"S2", "S4"} <= seen <= SITUATIONS.keys()


@pytest.mark.thorough
def test_the_first_version_leaves_traces_when_devices_leave():
    found: set[str] = set()
    for seed in (1, 2, 3):
        bugs, _ = watched("hotplug", "seed", seed)
        found |= bugs.keys()
    assert found & {"D3", "D6", "D7", "D11", "D12"}, found
