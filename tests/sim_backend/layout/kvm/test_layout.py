"""A whole machine with a Linux and KVM."""

from __future__ import annotations

import json

import pytest

from inspector.linux.find import find
from inspector.linux.modules import modules, with_module
from sim_backend.layout.kvm.layout import (
    LIST_POISON1,
    LIST_POISON2,
    DomainConfig,
    KvmLayout,
    LayoutConfig,
    linux_profile,
)
from sim_backend.memory.errors import SimError
from tests.inspector.linux.laid import Laid


def test_vcpus_are_as_their_creation_leaves_them(layout):
    vcpu = layout.vcpu(1234, 1)
    assert layout.pi_desc(1234, 1) % 64 == 0
    values = {path: layout.get("vcpu_vmx", vcpu, path) for path in ("vcpu.cpu", "pi_desc.nv", "pi_desc.notifications")}
    assert values == {"vcpu.cpu": 0xFFFFFFFF, "pi_desc.nv": 0xF2, "pi_desc.notifications": 2}
    assert layout.list_nodes(layout.percpu(0, "wakeup_vcpus_on_cpu")) == []
    task = layout.task(vcpu)
    assert (layout.get("task_struct", task, "pid"), layout.get("task_struct", task, "tgid")) == (1236, 1234)
    assert layout.vlapic(1234, 1) == layout.physical(
        layout.get("kvm_lapic", layout.physical(layout.get("vcpu_vmx", vcpu, "vcpu.arch.apic")), "regs")
    )


def test_vms_are_on_the_list_the_newest_first_and_leave_it(layout):
    link = layout.member("kvm", "vm_list")
    assert [node - link for node in layout.list_nodes(layout.symbol("vm_list"))] == [layout.vm(77), layout.vm(1234)]
    gone = layout.vm(1234)
    layout.destroy_domain(1234)
    assert [node - link for node in layout.list_nodes(layout.symbol("vm_list"))] == [layout.vm(77)]
    poison = [layout.get("kvm", gone, f"vm_list.{which}") for which in ("next", "prev")]
    assert poison == [LIST_POISON1, LIST_POISON2]
    assert [msi.pirq for msi in layout.device(0x300).msis] == [0, 0, 0]
    with pytest.raises(SimError, match="no VM of process 1234"):
        layout.vcpu(1234, 0)


def test_a_copy_goes_its_own_way(layout):
    other = layout.copy()
    other.put("vcpu_vmx", other.vcpu(1234, 0), {"vcpu.cpu": 1})
    other.create_domain(5, 1)
    assert layout.get("vcpu_vmx", layout.vcpu(1234, 0), "vcpu.cpu") == 0xFFFFFFFF
    assert 5 not in layout.domains


def test_state_and_memory_are_the_whole(layout):
    state = json.loads(json.dumps(layout.state()))
    again = KvmLayout.restored(linux_profile("6.12"), layout.config, state, layout.memory.copy())
    assert again.state() == layout.state()
    for machine in (layout, again):
        machine.add_device(0x400, 2)
        machine.give_device(0x400, 77)
        machine.post_msi(machine.device(0x400).msis[1], 77, 65, 0x61)
    assert again.memory.digest() == layout.memory.digest()
    with pytest.raises(SimError, match="this is no saved layout"):
        KvmLayout.restored(linux_profile("6.12"), layout.config, {**state, "areas": "x"}, layout.memory)


def test_an_inspector_finds_it_with_no_file_and_its_modules(layout):
    linux = find(Laid(layout))
    assert (linux.release, linux.found_by) == (layout.profile.version, "CR3 of CPU 0")
    assert [module.name for module in modules(linux)] == ["kvm", "kvm_intel"]
    for module, symbol in (("kvm", "vm_list"), ("kvm_intel", "wakeup_vcpus_on_cpu")):
        assert with_module(linux, module).profile.symbol(symbol) == layout.profile.symbol(symbol)


def test_what_no_machine_can_be_is_refused():
    with pytest.raises(SimError, match=r"no bundled profile of a Linux is called '4\.20'; there are 6\.12"):
        KvmLayout(LayoutConfig())
    small = LayoutConfig(profile="6.12", domains=(DomainConfig(1, 600),), ram=8 << 20)
    with pytest.raises(SimError, match="do not fit below 8 MiB"):
        KvmLayout(small)
