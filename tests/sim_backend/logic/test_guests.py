"""What guests do, and their virtual local APICs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.logic.guests import HALT, HYPERCALL, SEND_IPI
from sim_backend.logic.workload import Workload
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    return Machine(replace(load("one-device"), workload=Workload()))


MACHINE = Machine(replace(load("one-device"), workload=Workload()))


@given(st.sets(st.integers(16, 255)))
def test_the_virtual_irr(vectors):
    guests, v = MACHINE.context.guests, MACHINE.vcpu("d1v0")
    for vector in vectors:
        guests.add_to_irr(v, vector // 64, 1 << vector % 64)
    for vector in sorted(vectors, reverse=True):
        assert guests.highest_virtual(v) == vector
        guests.take_virtual(v, vector)
    assert guests.highest_virtual(v) == -1


def test_orders_are_carried_out_in_order_and_then_nothing_is_done(machine):
    guests, v, other = machine.context.guests, machine.vcpu("d1v0"), machine.vcpu("d1v1")
    guests.tell(v, HYPERCALL)
    guests.tell(v, SEND_IPI, other, 0x55)
    guests.tell(v, HALT)
    assert [guests.action(v) for _ in range(2)] == [HYPERCALL, SEND_IPI]
    assert guests.ipi_target(v) == [other, 0x55]
    assert [guests.action(v), guests.action(v)] == [HALT, 0]
    assert machine.state.orders == {}


def test_an_interrupt_of_its_own_goes_to_a_vcpu_of_the_same_guest(machine):
    guests = machine.context.guests
    for v, (domain, _) in machine.names.items():
        assert machine.names[guests.ipi_target(v)[0]][0] == domain


def test_a_domain_that_ends_is_forgotten(machine):
    guests, v = machine.context.guests, machine.vcpu("d1v0")
    guests.tell(v, HALT)
    machine.state.events[v] = 1
    guests.forget_domain(1)
    assert v not in machine.names
    assert not machine.state.orders
    assert not machine.state.events
    assert 1 not in guests.domain_numbers()
