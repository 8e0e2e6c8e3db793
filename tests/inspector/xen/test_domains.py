"""Domains and vCPUs from memory, and what is wrong with them."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.snapshot import NOT_KNOWN
from inspector.targets.options import SimOptions
from inspector.targets.sim.simulation import simulated
from inspector.xen.domains import VCPU_INFO, domains, with_events


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


def test_what_begins_no_page_is_no_domain(layout, look):
    astray = layout.virtual(layout.domain(1)) + 0x10
    layout.put("domain", layout.domain(0), {"next_in_list": astray})
    layout.put("domain", layout.domain(1) + 0x10, {"domain_id": 1, "next_in_list": 0})
    found, _, (absence,) = domains(look())
    assert [domain.domain for domain in found] == [0]
    assert (absence.subject, absence.address) == ("domains", astray)
    assert "no page begins" in absence.why


def test_a_run_state_that_is_being_written_is_not_known(layout, look):
    values = {"runstate_seq": 7, "runstate.state": 2, "runstate.state_entry_time": 1000}
    layout.put("vcpu", layout.vcpu(1, 1), values)
    layout.put("vcpu", layout.vcpu(1, 2), values | {"runstate_seq": 8})
    _, vcpus, absent = domains(look())
    found = {vcpu.name: (vcpu.runstate, vcpu.since) for vcpu in vcpus}
    assert absent == []
    assert (found["d1v1"], found["d1v2"]) == ((NOT_KNOWN, None), ("blocked", 1000))


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_a_run_state_that_is_being_written_is_read_again(layout, look, monkeypatch, looks):
    """Where the machine runs on. The third look is the last."""
    place = layout.vcpu(1, 1)
    layout.put("vcpu", place, {"runstate_seq": 7, "runstate.state": 1})
    xen = look()
    read, done = type(xen).structs, []

    def structs(self, struct, addresses, *paths):
        rows = read(self, struct, addresses, *paths)
        if "runstate_seq" in paths and any(row and row["runstate_seq"] & 1 for row in rows):
            done.append(len(addresses))
            if len(done) == looks:
                layout.put("vcpu", place, {"runstate_seq": 8, "runstate.state": 2})
        return rows

    monkeypatch.setattr(type(xen), "structs", structs)
    _, vcpus, _ = domains(xen)
    (found,) = (vcpu.runstate for vcpu in vcpus if vcpu.name == "d1v1")
    assert found == ("blocked" if looks < 3 else NOT_KNOWN)
    assert done[1:] == [1] * (looks - 1), "only the one that was being written"


def test_what_the_shared_page_says_of_a_paravirtualised_vcpu() -> None:
    with simulated(SimOptions()) as target:
        inspection = Inspection(target)
        xen, vcpus = inspection.xen, inspection.snapshot.vcpus
        assert xen
        host = next(vcpu for vcpu in vcpus if not vcpu.hvm)
        path = next(path for path in VCPU_INFO if xen.profile.has("vcpu", path))
        told = {vcpu.name: vcpu for vcpu in with_events(xen, vcpus)}
        (pointer,) = [row[path] for row in xen.structs("vcpu", [host.address], path) if row]
        known = bool(pointer)
        assert (told[host.name].event_pending is not None) == known
        assert all(vcpu.event_pending is None for vcpu in told.values() if vcpu.hvm)
