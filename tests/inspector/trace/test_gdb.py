"""The simulated machine traced through a real gdb."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.live.gdb_mi import GdbMi
from inspector.trace.tracer import trace, traced
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

pytestmark = pytest.mark.live


@pytest.fixture
def machine():
    machine = Machine(load("wakeup-storm"), seed=5)
    machine.run(3000)
    return machine


def test_a_wakeup_storm_through_gdb_is_its_own_step_log(machine, server, step_log, eventually):
    wanted = step_log(machine, 120)
    with GdbMi(server.address) as target:
        inspection = Inspection(target)
        found = traced(trace(inspection, target, [v for v in inspection.snapshot.vcpus if v.pi], {}, 120, 120))
    assert [(hit.vcpu, hit.changes) for hit in found.hits] == [(vcpu, changes) for _, _, vcpu, changes in wanted]
    for hit, (_, actor, *_) in zip(found.hits, wanted, strict=True):
        if actor.startswith("CPU"):
            assert hit.where == actor
    # Nothing was left behind: the machine goes on with no stop.
    steps = machine.steps
    with GdbMi(server.address) as target:
        target.cont()
        eventually(lambda: machine.steps > steps + 100)
        assert target.running
        target.stop()
