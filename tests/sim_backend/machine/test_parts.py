"""A machine's parts, and how they are named."""

from __future__ import annotations

import pytest

from sim_backend.logic.context import CPU, DEVICE, DOMAIN, ENTRY, UNIT, VCPU
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def machine():
    return Machine(load("one-device"))


def test_a_vcpu_by_each_of_its_names(machine):
    v = machine.layout.vcpu(1, 1)
    assert machine.vcpu("d1v1") == machine.vcpu((1, 1)) == machine.vcpu(v) == v
    assert machine.vcpu_name(v) == "d1v1"


@pytest.mark.parametrize("name", ["d1v99", "v1", (3, 0), 0x1234])
def test_what_is_no_vcpu(machine, name):
    with pytest.raises(SimError, match="there is no vCPU"):
        machine.vcpu(name)


def test_everything_has_a_name(machine):
    layout = machine.layout
    subjects = {
        (VCPU, layout.vcpu(1, 0)): "d1v0",
        (VCPU, layout.idle_vcpu(1)): "idle 1",
        (VCPU, 0x1000): "freed vCPU at 0x1000",
        (CPU, 1): "CPU 1",
        (UNIT, 0): "unit 0",
        (DEVICE, 0x18): "device 00:03.0",
        (ENTRY, 1 << 16 | 24): "unit 1 entry 24",
        (DOMAIN, layout.domain(1)): "d1",
        (DOMAIN, 0x2000): "domain at 0x2000",
    }
    assert {key: machine.name_of(*key) for key in subjects} == subjects
