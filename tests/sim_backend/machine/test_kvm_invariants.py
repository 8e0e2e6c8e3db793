"""Broken states are seen."""

from __future__ import annotations

import pytest

from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.machine.kvm import KvmMachine
from sim_backend.machine.kvm_invariants import nodes, problems
from sim_backend.memory.errors import SimError


@pytest.fixture
def machine():
    config = LayoutConfig(cpus=2, domains=(DomainConfig(1, 2),), devices=(DeviceConfig(0x18, 2, 1),))
    machine = KvmMachine(config)
    machine.settle()
    machine.block("vm1v0")
    machine.settle()
    assert problems(machine) == []
    return machine


def test_a_vector_that_is_none(machine):
    machine.memory.set_u8(machine.vcpu("vm1v0") + machine.o.nv, 0x44)
    assert any("NV is 0x44" in line for line in problems(machine))


def test_who_is_blocked_and_suppressed(machine):
    machine.memory.test_and_set_bit(machine.vcpu("vm1v0") + machine.o.control, 1)
    assert problems(machine) == ["who is blocked can be woken: vm1v0 is blocked with SN set"]


def test_who_has_on_set_and_nobody_wakes(machine):
    machine.memory.test_and_set_bit(machine.vcpu("vm1v0") + machine.o.control, 0)
    (line,) = problems(machine)
    assert "no wakeup interrupt is on its way" in line


def test_who_is_on_no_list(machine):
    machine.layout.list_del(machine.vcpu("vm1v0") + machine.o.node)
    assert "lists are sound: vm1v0 has the wakeup vector and is on no list" in problems(machine)


def test_who_is_on_the_list_of_another_cpu(machine):
    v = machine.vcpu("vm1v0")
    cpu = machine.memory.u32(v + machine.o.cpu)
    machine.layout.list_del(v + machine.o.node)
    machine.layout.list_add_tail(machine.context.addresses.lists[1 - cpu], v + machine.o.node)
    assert any(f"on CPU {1 - cpu}'s list, but was loaded elsewhere" in line for line in problems(machine))


def test_a_list_that_is_no_ring(machine):
    v = machine.vcpu("vm1v0")
    machine.memory.set_u64(v + machine.o.node + machine.o.list_prev, machine.context.virtual(0x1000))
    with pytest.raises(SimError, match="wakeup list: prev of"):
        list(nodes(machine, machine.memory.u32(v + machine.o.cpu)))


def test_a_wrong_destination_in_the_guest(machine):
    v = machine.vcpu("vm1v1")
    machine.memory.set_u32(v + machine.o.ndst, 0x4400)
    assert any("in the guest on CPU" in line and "NDST 0x4400" in line for line in problems(machine))


def test_a_thread_in_two_places(machine):
    machine.state.runq[0].append(machine.vcpu("vm1v1"))
    assert any("a thread waits and runs" in line for line in problems(machine))
