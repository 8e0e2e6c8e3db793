"""The rules about entries that post to vCPUs of KVM's."""

from __future__ import annotations

import pytest

from inspector.audit import BUG, audit
from tests.inspector.linux.kvm_states import VM, OneVcpu, a_layout, seen

BDF = 0x300


def posted_machine():
    layout = a_layout()
    OneVcpu(layout, 0).in_guest(0)
    OneVcpu(layout, 1).blocked(1)
    msis = layout.device(BDF).msis
    layout.post_msi(msis[0], VM, 0, 0x41)
    layout.post_msi(msis[1], VM, 1, 0x51)
    return layout, msis


def found(layout):
    return {each.rule: each for each in audit(seen(layout))}


def test_entries_that_post_as_the_guest_asked_are_right():
    layout, _ = posted_machine()
    assert found(layout) == {}


def test_d53_an_entry_to_a_vcpu_that_is_gone():
    layout, msis = posted_machine()
    layout.memory.write(layout.irte(0, msis[1].index) + 12, (5).to_bytes(4, "little"))
    finding = found(layout)["D53"]
    assert (finding.severity, finding.subject) == (BUG, f"unit 0 entry {msis[1].index:#x}")
    assert "no live vCPU's descriptor" in finding.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"irq_entry.msi.data": 0x61}, "posts vector 0x51, but vm1234 GSI 49 is vector 0x61"),
        ({"irq_entry.msi.address_lo": 0xFEE02000}, "is posted to vm1234v1, but vm1234 GSI 49 goes to vCPU 2"),
        ({"irq_entry.msi.data": 0x451}, "of a delivery mode that is not posted"),
        ({"irq_entry.type": 1}, "vm1234 GSI 49 is routed to no MSI"),
        ({"irq_entry.type": 0}, "vm1234 GSI 49 is routed to no MSI"),
        ({"producer": 0}, "but no VM has irq 25"),
    ],
)
def test_d54_an_entry_that_the_guest_has_not_asked_for(change, words):
    layout, msis = posted_machine()
    layout.put("kvm_kernel_irqfd", msis[1].pirq, change)
    finding = found(layout)["D54"]
    assert words in finding.message
    assert finding.suspicion


def test_a_logical_destination_is_not_judged():
    layout, msis = posted_machine()
    layout.put("kvm_kernel_irqfd", msis[1].pirq, {"irq_entry.msi.address_lo": 0xFEE0E004})
    assert "D54" not in found(layout)


def test_a_device_of_another_vm():
    layout, msis = posted_machine()
    layout.give_device(BDF, 77)
    layout.post_msi(msis[0], VM, 0, 0x41)
    assert "irq 24 is vm77 GSI 48" in found(layout)["D54"].message


def test_linuxs_mark_and_the_table_must_agree():
    layout, msis = posted_machine()
    layout.put("intel_ir_data", msis[0].msi_desc, {"irq_2_iommu.posted_vcpu": 0})
    assert "Linux has irq 24 as not posted" in found(layout)["D18"].message
    layout, msis = posted_machine()
    layout.memory.write(layout.irte(0, msis[0].index), layout.memory.read(msis[0].msi_desc + 16, 16))
    assert "is remapped, but Linux has irq 24 as posted to a vCPU" in found(layout)["D18"].message
