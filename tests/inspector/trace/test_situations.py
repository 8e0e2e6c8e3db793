"""A vCPU's situation, read of it alone, is what a whole look at the machine says."""

from __future__ import annotations

import pytest

from inspector.analysis.situation import situation
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.trace.situations import Situations
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


def told(snapshot, vcpu):
    found = situation(snapshot, vcpu)
    return found and found.id


@pytest.mark.parametrize("name", ["wakeup-storm", "oversubscribed"])
def test_as_a_whole_look_says(name):
    machine = Machine(load(name), seed=3)
    begun = Inspection(Simulation(machine))
    assert begun.xen
    alone = Situations(begun.xen, begun.snapshot, told)
    seen = set()
    for _ in range(12):
        machine.run(150)
        whole = begun.again().snapshot
        for vcpu in whole.vcpus:
            # Whether a CPU is in the guest is told by Bochs' registers only; here nothing tells.
            if vcpu.pi and not vcpu.in_guest:
                expected = told(whole, vcpu)
                assert alone.at(vcpu.name, vcpu.pi, (vcpu.blocking_list, 0)) == expected
                seen.add(expected)
    assert len(seen) > 2
