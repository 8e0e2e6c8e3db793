"""Domains and vCPUs from memory, and what is wrong with them."""

from __future__ import annotations

import pytest

from inspector.xen.domains import domains


def test_each_domain_with_its_vcpus_hooks_and_devices(look):
    found, vcpus, absent = domains(look())
    assert absent == []
    assert [(domain.domain, domain.hvm) for domain in found] == [(0, False), (1, True)]
    assert [vcpu.name for vcpu in vcpus] == ["d0v0", "d1v0", "d1v1", "d1v2"]
    assert {vcpu.hooks for vcpu in vcpus if vcpu.hvm} == {("block", "switch_from", "switch_to")}
    assert found[1].devices == (0x18,)


def test_a_struct_vcpu_of_another_vcpu_is_told_by_address(layout, look):
    layout.put("vcpu", layout.vcpu(1, 2), {"vcpu_id": 7})
    _, vcpus, (absence,) = domains(look())
    assert "d1v2" not in {vcpu.name for vcpu in vcpus}
    assert absence.subject == "d1v2"
    assert absence.address == layout.virtual(layout.vcpu(1, 2))
    assert "it says vCPU 7" in absence.why


def test_a_list_that_goes_back_ends_there(layout, look):
    layout.put("domain", layout.domain(1), {"next_in_list": layout.virtual(layout.domain(0))})
    found, _, (absence,) = domains(look())
    assert [domain.domain for domain in found] == [0, 1]
    assert "domain 0" in absence.why
    assert absence.subject == "domains"


@pytest.mark.parametrize("count", [8193, 1 << 31])
def test_more_vcpus_than_xen_allows_are_not_read(layout, look, count):
    layout.put("domain", layout.domain(1), {"max_vcpus": count})
    _, vcpus, absent = domains(look())
    assert [vcpu.name for vcpu in vcpus] == ["d0v0"]
    assert any(f"claims {count} vCPUs" in absence.why for absence in absent)
