"""Domains and their vCPUs."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DeviceConfig, DomainConfig, Layout, LayoutConfig
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.irte import IRTE
from structs.pi_desc import PI_DESC

from .builds import NIC


def test_vcpus_lie_above_4_gib_where_there_is_memory_and_this_version_puts_them_there():
    domains = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 2))
    for options, high in (({}, 0), ({"high": 4 << 20}, 1), ({"high": 4 << 20, "low_vcpus": True}, 0)):
        layout = Layout(LayoutConfig(domains=domains, devices=(DeviceConfig(NIC, domain=1),), **options))
        vmcs = layout.get("vcpu", layout.vcpu(1, 1), "arch.hvm.vmx.vmcs_pa")
        places = [layout.vcpu(1, 0), layout.vcpu(1, 1), layout.vlapic(1, 0), vmcs]
        assert {place >> 32 for place in places} == {high}
        assert {place >> 32 for place in (layout.vcpu(0, 0), layout.domain(1), layout.idle_vcpu(0))} == {0}
        (msi,) = layout.device(NIC).msis
        layout.post_msi(msi, 1, 1, 0x61)
        entry = IRTE.parse(layout.memory.read(layout.irte(0, msi.index), 16))
        assert entry["pda"] == layout.pi_desc(1, 1)
        taken = layout.vcpu_heap.next
        layout.destroy_domain(1)
        layout.create_domain(2, 2)
        assert layout.vcpu(2, 1) >> 32 == high
        assert layout.vcpu_heap.next == taken, "what was freed is used again"


def test_domains_are_linked_in_order_and_own_their_vcpus(layout):
    pointer, found = layout.memory.u64(layout.symbol("domain_list")), []
    while pointer:
        domain = layout.physical(pointer)
        table = layout.physical(layout.get("domain", domain, "vcpu"))
        count = layout.get("domain", domain, "max_vcpus")
        vcpus = [layout.physical(layout.memory.u64(table + 8 * number)) for number in range(count)]
        number = layout.get("domain", domain, "domain_id")
        for vcpu_id, vcpu in enumerate(vcpus):
            assert vcpu % PAGE == 0
            assert layout.vcpu(number, vcpu_id) == vcpu
            assert layout.get("vcpu", vcpu, "vcpu_id") == vcpu_id
            assert layout.physical(layout.get("vcpu", vcpu, "domain")) == domain
        found.append((number, count))
        pointer = layout.get("domain", domain, "next_in_list")
    assert found == [(0, 1), (1, 4), (5, 1)]


def test_a_new_descriptor_is_64_byte_aligned_and_names_no_cpu(layout):
    address = layout.pi_desc(1, 2)
    fields = PI_DESC.parse(layout.memory.read(address, PI_DESC.size))
    assert address % 64 == 0
    assert {name: value for name, value in fields.items() if value} == {"nv": 0xF2, "ndst": 0xFFFF_FFFF}


def test_at_creation_a_descriptor_may_name_its_cpu():
    layout = Layout(LayoutConfig(apic_ids=(7, 9), ndst_at_creation=True, domains=(DomainConfig(1, 2),)))
    ndst = [PI_DESC.parse(layout.memory.read(layout.pi_desc(1, v), 64))["ndst"] for v in range(2)]
    assert ndst == [0x700, 0x900]


def test_domains_come_and_go(layout):
    before = layout.memory.copy()
    layout.create_domain(3, 2)
    assert layout.get("domain", layout.domain(1), "next_in_list") == layout.virtual(layout.domain(3))
    stale = layout.vcpu(3, 1)
    layout.destroy_domain(3)
    with pytest.raises(SimError, match="d3v1"):
        layout.vcpu(3, 1)
    assert layout.get("vcpu", stale, "vcpu_id") == 1
    place = layout.domain(1) + layout.member("domain", "next_in_list")
    assert layout.memory.u64(place) == before.u64(place)
    unused = layout.heap.next
    layout.create_domain(4, 2)
    assert layout.heap.next == unused, "freed pages are used again"
