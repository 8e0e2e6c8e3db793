"""What follows from a layout."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.logic.addresses import Addresses, areas


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
