"""A machine's parts, as the logic sees them."""

from __future__ import annotations

import pytest

from sim_backend.logic.context import Offsets
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    return Machine(load("one-device"))


def test_every_offset_is_there_and_is_one(machine):
    offsets = Offsets(machine.layout)
    assert all(isinstance(getattr(offsets, name), int) for name in Offsets.__slots__)
    with pytest.raises(AttributeError):
        offsets.pause_flag = 0


def test_vcpus_of_a_domain_one_after_the_other(machine):
    w, found = machine.context, []
    v = w.first_vcpu(machine.layout.domain(1))
    while v:
        found.append(v)
        v = w.next_vcpu(v)
    assert found == list(machine.layout.domains[1].vcpus)


def test_the_domain_of_a_vcpu_that_was_freed_is_what_its_page_says(machine):
    w, v = machine.context, machine.vcpu("d1v0")
    domain = w.domain_of(v)
    machine.layout.destroy_domain(1)
    w.refresh()
    assert v not in w.addresses.domain_of
    assert w.domain_of(v) == domain


def test_the_destination_that_names_a_cpu(machine):
    w = machine.context
    assert w.destination(1) == machine.layout.config.apics[1] << 8
    machine.memory.set_u8(w.x2apic_enabled, 1)
    assert w.destination(1) == machine.layout.config.apics[1]


def test_any_online_cpu_is_drawn_only_if_there_is_a_choice(machine):
    before = machine.state.random
    machine.state.online = [1]
    assert (machine.context.any_online_cpu(), machine.state.random) == (1, before)
    machine.state.online = [0, 1]
    assert {machine.context.any_online_cpu() for _ in range(40)} == {0, 1}
    machine.state.online = []
    with pytest.raises(SimError, match="no CPU is online"):
        machine.context.any_online_cpu()
