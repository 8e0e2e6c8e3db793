"""Where everything is in a Linux."""

from __future__ import annotations

import pytest

from sim_backend.logic.kvm.context import NO_CPU
from tests.sim_backend.logic.kvm.conftest import SID, made


def test_members_are_those_of_the_profile(machine):
    o, profile = machine.o, machine.layout.profile
    assert o.pi_desc == profile.offset("vcpu_vmx", "pi_desc")
    assert (o.control, o.nv, o.ndst) == (o.pi_desc + 32, o.pi_desc + 34, o.pi_desc + 36)
    assert o.wait == profile.offset("kvm_vcpu", "wait.task")


@pytest.mark.parametrize(("x2apic", "named"), [(False, [0x100, 0x3400]), (True, [1, 0x34])])
def test_ndst_names_a_cpu_as_the_apics_mode_has_it(x2apic, named):
    assert made(apic_ids=(1, 0x34), x2apic=x2apic).context.addresses.destinations == named


def test_devices_may_post_while_the_vm_has_one(machine):
    vm = machine.layout.vm(1)
    assert machine.context.posts(vm)
    machine.deassign("00:03.0")
    machine.settle()
    assert not machine.context.posts(vm)
    assert not made(intpost=False).context.posts(vm)


def test_producers_are_known_though_an_irqfd_forgets_them(machine):
    known = dict(machine.context.producers)
    assert sorted(known) == [SID << 16, SID << 16 | 1]
    machine.deassign("00:03.0")
    machine.settle()
    machine.context.find_producers()
    assert machine.context.producers == known


def test_a_vcpu_that_was_never_loaded_is_on_no_cpu():
    assert NO_CPU == 0xFFFF_FFFF
