"""A machine's parts, as the logic sees them."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.logic.context import Addresses, Offsets, areas
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


@pytest.fixture
def layout():
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 2), DomainConfig(5, 1))
    return Layout(LayoutConfig(cpus=3, domains=domains, apic_ids=(4, 2, 9)))


def test_only_guests_vcpus_have_names(layout):
    at = Addresses.of(layout)
    assert sorted(at.names.values()) == [(1, 0), (1, 1), (5, 0)]
    assert all(layout.vcpu(*name) == v for v, name in at.names.items())
    assert at.vcpus == list(at.names)
    assert [at.by_apic[apic] for apic in (4, 2, 9)] == [0, 1, 2]


def test_they_are_where_xen_has_them(layout):
    at, found = Addresses.of(layout), areas(layout)
    for cpu in range(3):
        assert found[cpu] + at.irq_count == layout.percpu(cpu, "irq_count")
        assert found[cpu] + at.curr_vcpu == layout.percpu(cpu, "curr_vcpu")
        unit = at.units[at.idle[cpu]]
        assert layout.memory.u64(at.resources[cpu] + at.resource_curr) == layout.virtual(unit)
    v = layout.vcpu(5, 0)
    assert (at.domain_of[v], at.irrs[v]) == (layout.domain(5), layout.vlapic(5, 0) + 0x200)


def test_a_cpu_without_an_area_has_none(layout):
    layout.offline(2)
    layout.free_percpu(2)
    assert sorted(areas(layout)) == [0, 1]
