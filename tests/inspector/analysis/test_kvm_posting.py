"""What a post to a vCPU of KVM's does now."""

from __future__ import annotations

import pytest

from inspector.analysis.posting import effect
from tests.inspector.linux.kvm_states import SITUATIONS, WAKEUP, OneVcpu, a_layout, the_vcpu


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("K1", "CPU 1 executes vm1234v0: the processor takes the vector in at once"),
        ("K2", "CPU 1 is in KVM: it looks at ON before it enters vm1234v0"),
        ("K4", "finds vm1234v0 with ON=1 and wakes its thread; loading takes it off the list"),
        ("K5", "the handler there does nothing: vm1234v0 is blocked, and nothing wakes it"),
        ("K6", "KVM takes PIR in before it next enters vm1234v0"),
        ("K7", "when vm1234v0 is loaded, vmx_vcpu_pi_load clears SN and sets ON if PIR holds anything"),
        ("K9", "vm1234v0 is not loaded; it looks at PIR when it is"),
    ],
)
def test_in_each_situation(name, words):
    layout = a_layout()
    SITUATIONS[name](OneVcpu(layout), 1)
    snapshot, vcpu = the_vcpu(layout)
    told = effect(snapshot, vcpu.pi, vcpu)
    assert words in " ".join(told)
    assert "Xen" not in " ".join(told)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one.pi(WAKEUP, cpu=1), "where vm1234v0 is not: nothing wakes it"),
        (lambda one: one.pi(WAKEUP, on=1), "if no vector 0xf1 is pending at its destination, nothing wakes it"),
        (lambda one: one.pi(0x77), "neither KVM's notification nor its wakeup vector"),
        (lambda one: one.task(0), "its thread is awake already"),
    ],
)
def test_what_is_odd_of_a_blocked_one(change, words):
    layout = a_layout()
    change(OneVcpu(layout).blocked())
    snapshot, vcpu = the_vcpu(layout)
    assert words in " ".join(effect(snapshot, vcpu.pi, vcpu))


def test_a_descriptor_whose_vcpu_is_not_known():
    layout = a_layout()
    OneVcpu(layout).blocked()
    snapshot, vcpu = the_vcpu(layout)
    assert "for vCPUs with ON=1 and wakes their threads" in effect(snapshot, vcpu.pi, None)[-1]
    OneVcpu(layout).pi()
    snapshot, vcpu = the_vcpu(layout)
    assert "takes PIR in if it executes that vCPU" in effect(snapshot, vcpu.pi, None)[-1]
