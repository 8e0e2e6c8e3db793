"""The modules kvm and kvm_intel."""

from __future__ import annotations

from inspector.linux.find import find
from inspector.linux.modules import with_module
from tests.inspector.linux.laid import Laid


def test_types_and_symbols_of_each_are_its_own(layout):
    linux = find(Laid(layout))
    kvm, intel = (with_module(linux, name).profile for name in ("kvm", "kvm_intel"))
    assert kvm.offset("kvm_kernel_irqfd", "producer") == layout.member("kvm_kernel_irqfd", "producer")
    assert intel.offset("vcpu_vmx", "vcpu.wait.task") == layout.member("vcpu_vmx", "vcpu.wait.task")
    assert (kvm.has("vcpu_vmx", "pi_desc"), intel.has("kvm_kernel_irqfd", "producer")) == (False, True)
    assert not linux.profile.has_symbol("vm_list")


def test_per_cpu_variables_keep_their_places_to_each_other(layout):
    lock, head = (layout.percpu(1, f"wakeup_vcpus_on_cpu{end}") for end in ("_lock", ""))
    assert head - lock == 0x10
