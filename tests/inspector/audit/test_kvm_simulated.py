"""What KVM's own logic leaves in memory as it runs breaks no rule; a suspicion may be there for an instant."""

from __future__ import annotations

import pytest

from inspector.analysis.situation import situation
from inspector.audit import BUG, audit
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.boot import switched_on
from sim_backend.scenario.scenario import load

LOOKS, STEPS = 40, 13


@pytest.mark.parametrize("version", ["kvm", "kvm-preempt"])
@pytest.mark.parametrize("scenario", ["one-device", "oversubscribed"])
def test_a_sound_kvm_is_found_sound_wherever_it_is_stopped(scenario, version):
    machine = Simulation(switched_on(load(scenario), version, seed=2))
    seen = set()
    for _ in range(LOOKS):
        machine.step(STEPS)
        snapshot = Inspection(machine).snapshot
        assert snapshot.problems == ()
        assert [finding for finding in audit(snapshot) if finding.severity == BUG] == []
        seen |= {situation(snapshot, vcpu).id for vcpu in snapshot.vcpus}
    assert "between" not in seen
    assert len(seen) > 2
