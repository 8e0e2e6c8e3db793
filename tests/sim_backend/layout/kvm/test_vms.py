"""VMs, vCPUs and irqfds."""

from __future__ import annotations

from inspector.linux.find import find
from inspector.linux.modules import with_module
from inspector.linux.trees import xarray
from tests.inspector.linux.laid import Laid


def test_the_vcpus_are_in_their_vms_xarray(layout):
    linux = with_module(find(Laid(layout)), "kvm")
    for pid, vm in layout.domains.items():
        array = layout.virtual(vm.address) + layout.member("kvm", "vcpu_array")
        assert xarray(linux, array) == {at: layout.virtual(vcpu) for at, vcpu in enumerate(vm.vcpus)}, pid


def test_irqfds_come_and_go(layout):
    items = layout.vm(1234) + layout.member("kvm", "irqfds.items")
    link = layout.member("kvm_kernel_irqfd", "list")
    assert [node - link for node in layout.list_nodes(items)] == [msi.pirq for msi in layout.device(0x300).msis]
    assert layout.get("kvm", layout.vm(1234), "arch.assigned_device_count.counter") == 3
    layout.post_msi(layout.device(0x300).msis[0], 1234, 1, 0x41)
    first = layout.device(0x300).msis[0].pirq
    assert layout.get("kvm_kernel_irqfd", first, "irq_entry.msi.address_lo") == 0xFEE01000
    producer = layout.physical(layout.get("kvm_kernel_irqfd", first, "producer"))
    assert layout.get("irq_bypass_producer", producer, "irq") == layout.device(0x300).msis[0].irq
    layout.give_device(0x300, 77)
    assert layout.list_nodes(items) == []
    assert layout.get("kvm", layout.vm(1234), "arch.assigned_device_count.counter") == 0
    assert [layout.owner(msi) for msi in layout.device(0x300).msis] == [layout.vm(77)] * 3
