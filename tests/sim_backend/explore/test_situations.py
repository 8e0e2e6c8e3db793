"""Where vCPUs stand, told from the machine."""

from __future__ import annotations

import pytest

from sim_backend.explore.situations import situation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def test_on_its_way_from_the_guest_to_being_blocked(machine):
    v = machine.vcpu("d1v0")
    seen = [situation(machine, v)]
    machine.block("d1v0")
    while machine.run(1):
        if (there := situation(machine, v)) != seen[-1]:
            seen.append(there)
    assert seen[0] == "S1"
    assert seen[-1] == "S9", "idle still holds its state"
    assert "S7" in seen


def test_paused_stopped_and_without_a_device(machine):
    machine.sleep("d1v0")
    machine.settle()
    assert situation(machine, machine.vcpu("d1v0")) == "S6"
    machine.down("d1v1")
    machine.settle()
    assert situation(machine, machine.vcpu("d1v1")) == "S15"
    machine.wake("d1v0")
    machine.deassign("00:03.0")
    machine.settle()
    assert situation(machine, machine.vcpu("d1v0")) == "S14"
