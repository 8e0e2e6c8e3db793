"""What happens of itself to a machine with KVM."""

from __future__ import annotations

import pytest

from sim_backend.logic.workload import Workload
from sim_backend.machine.kvm import KvmMachine
from sim_backend.machine.kvm_outside import happens
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = KvmMachine(load("one-device"))
    machine.run(200)
    return machine


@pytest.mark.parametrize("name", ["timer", "event", "emulated", "tasklet", "migrate", "hotplug"])
def test_each_can_happen(machine, name):
    before = machine.digest()
    assert happens(machine, machine.context.outside, name)
    assert machine.digest() != before


def test_what_there_is_not_does_not_happen(machine):
    others = set(Workload().rates()) - {"timer", "event", "emulated", "tasklet", "migrate", "hotplug"}
    before = machine.digest()
    assert not any(happens(machine, machine.context.outside, name) for name in others)
    assert machine.digest() == before
