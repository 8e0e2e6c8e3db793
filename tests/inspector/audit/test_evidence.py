"""What rules ask of a snapshot before they call anything certain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.audit.evidence import destination, hooked, named, on_its_way, pending_at, quiet, settled, state, why
from inspector.model.snapshot import BLOCK, CRASHED, IN_GUEST, IN_XEN, MARKER, Cpu, Descriptor, Snapshot, Vcpu

PI = Descriptor(0x1000, (0x31,), on=0, sn=0, nv=0xF1, ndst=3)
GUEST, XEN = Cpu(0, 0, mode=IN_GUEST), Cpu(1, 3, mode=IN_XEN, function="vmx_vcpu_block+0x1c")


def machine(*cpus, **fields):
    return Snapshot("a machine", cpus=cpus, x2apic=True, **fields)


@pytest.mark.parametrize(
    ("cpus", "still"),
    [
        ((GUEST,), True),
        ((GUEST, XEN), False),
        ((GUEST, replace(XEN, between_steps=True)), False),
        ((GUEST, replace(XEN, between_steps=False)), True),
        ((GUEST, replace(XEN, online=False)), True),
        ((replace(GUEST, mode=None),), False),
        # Of a machine of which no CPU is known nothing can be said.
        ((), False),
    ],
)
def test_nothing_is_half_done(cpus, still):
    assert quiet(machine(*cpus)) is still
    assert why(machine(*cpus)).startswith("a suspicion") is not still


def test_a_control_domain_beside_the_cpus_may_be_at_it():
    assert not quiet(machine(GUEST, beside=True))


def test_why_names_the_cpu_and_the_function():
    assert "CPU 1, in vmx_vcpu_block+0x1c," in why(machine(GUEST, XEN))
    elsewhere = why(machine(GUEST, replace(XEN, between_steps=False)))
    assert "no CPU is where Xen changes posted interrupts (CPU 1 is in vmx_vcpu_block+0x1c)" in elsewhere
    assert "no CPU was stopped where" in why(machine(replace(GUEST, mode=CRASHED)))


def test_settled_is_blocked_and_known_not_to_run():
    blocked = Vcpu(1, 0, pause_flags=1, runstate="blocked", is_running=False, hooks=(BLOCK,), pi=PI)
    others = (
        replace(blocked, vcpu=1, is_running=None),
        replace(blocked, vcpu=2, is_running=True),
        replace(blocked, vcpu=3, pause_flags=0),
        replace(blocked, vcpu=4, hooks=()),
        replace(blocked, vcpu=5, pi=None),
    )
    found = machine(vcpus=(blocked, *others))
    assert [vcpu.name for vcpu, _ in settled(found)] == ["d1v0"]
    assert [vcpu.name for vcpu, _ in hooked(found)] == ["d1v0", "d1v1", "d1v2", "d1v3"]


def test_a_destination_may_be_offline_but_must_be_known():
    here = machine(GUEST, replace(XEN, online=False))
    assert destination(here, 3).cpu == 1
    assert destination(here, 4) is None
    assert destination(here, MARKER) is None
    assert destination(replace(here, x2apic=None), 3) is None
    assert destination(replace(here, x2apic=False), 0x300).cpu == 1


def test_pending_is_yes_no_or_not_known():
    assert pending_at(None, 0xF1) is None
    assert pending_at(replace(GUEST, irr=(0xF1,)), 0xF1) is None
    assert pending_at(replace(GUEST, irr=(0xF1,), isr=()), 0xF1) is True
    assert pending_at(replace(GUEST, irr=(), isr=(0xF1,)), 0xF1) is True
    assert pending_at(replace(GUEST, irr=(), isr=()), 0xF1) is False
    assert "cannot be read here" in on_its_way(None)
    assert "cannot be read here" not in on_its_way(False)


def test_a_vcpu_that_moved_is_in_another_state():
    vcpu = Vcpu(1, 0, runstate="blocked", since=100, pi=PI)
    same = replace(vcpu, cpu=3)
    assert state(vcpu) == state(same)
    for other in (replace(vcpu, since=101), replace(vcpu, lock=8), replace(vcpu, pi=replace(PI, on=1))):
        assert state(other) != state(vcpu)


def test_vectors_for_a_reader():
    assert named((0x52,)) == "vector 0x52"
    assert named((0x31, 0x52)) == "vectors 0x31, 0x52"
