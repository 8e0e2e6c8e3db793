"""What the control domain asks for."""

from __future__ import annotations

import pytest

from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def test_a_device_is_taken_and_given_again(machine):
    bindings = dict(machine.state.bindings)
    machine.deassign("00:03.0")
    machine.settle()
    assert (machine.state.owners, machine.state.bindings) == ({}, {})
    machine.assign("00:03.0", 1)
    machine.settle()
    assert (machine.state.owners, machine.state.bindings) == ({0x18: 1}, bindings)


def test_a_cpu_goes_with_nobody_left_on_it_and_comes_back(machine):
    machine.block("d1v0")
    machine.block("d1v1")
    machine.settle()
    machine.offline(1)
    machine.settle()
    assert (machine.state.online, sorted(machine.state.areas)) == ([0], [0])
    assert {machine.memory.u32(v + machine.o.processor) for v in machine.names} == {0}
    machine.bring_online(1)
    machine.settle()
    assert (machine.state.online, machine.state.active, sorted(machine.state.areas)) == ([0, 1], [0, 1], [0, 1])
    assert machine.crashed is None


def test_a_domain_ends_with_its_devices(machine):
    machine.destroy_domain(1)
    machine.settle()
    assert not machine.names
    assert machine.state.owners == {}
    assert machine.crashed is None


def test_the_host_sleeps_and_everybody_goes_on(machine):
    machine.suspend()
    machine.settle()
    assert (machine.state.online, machine.crashed) == ([0, 1], None)
    w = machine.context
    assert all(machine.memory.u32(w.domain_of(v) + w.o.domain_pause_count) == 0 for v in machine.names)
    assert set(machine.names) <= {*w.state.scheduled, *(v for queue in w.state.runq for v in queue)}
