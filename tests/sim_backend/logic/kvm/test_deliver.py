"""Software posts an interrupt: it notifies who is in the guest, and wakes who is not."""

from __future__ import annotations

from sim_backend.logic.kvm.context import OUTSIDE_GUEST_MODE, POSTED_INTR_VECTOR
from sim_backend.logic.kvm.deliver import notify, vmx_deliver_posted_interrupt
from tests.sim_backend.logic.kvm.conftest import blocked, field, run_to

VECTOR = 0x51


def test_who_is_in_the_guest_is_notified(machine):
    v, w = machine.vcpu("vm1v1"), machine.context
    machine.deliver("vm1v1", VECTOR)
    w.toolstack.turn(w)
    run_to(machine, w.toolstack, vmx_deliver_posted_interrupt, notify)
    assert (field(machine, v, "on"), field(machine, v, "pir") >> VECTOR & 1) == (1, 1)
    w.toolstack.turn(w)
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    assert cpu.lapic.irr == 1 << POSTED_INTR_VECTOR
    machine.settle()
    assert (field(machine, v, "on"), field(machine, v, "pir")) == (0, 0)


def test_who_is_blocked_is_woken(machine):
    v = blocked(machine, "vm1v1")
    machine.deliver("vm1v1", VECTOR)
    machine.settle()
    assert v in machine.state.scheduled
    assert (field(machine, v, "on"), field(machine, v, "pir")) == (0, 0)


def test_who_is_neither_finds_it_before_it_enters_the_guest(machine):
    v, w = machine.vcpu("vm1v1"), machine.context
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.hypercall("vm1v1")
    while machine.memory.u32(v + machine.o.mode) != OUTSIDE_GUEST_MODE:
        assert cpu.turn(w)
    machine.deliver("vm1v1", VECTOR)
    while machine.toolstack_busy():
        w.toolstack.turn(w)
    assert not cpu.lapic.irr
    machine.settle()
    assert (field(machine, v, "on"), field(machine, v, "pir")) == (0, 0)


def test_a_second_post_of_the_vector_does_nothing_more(machine):
    v, w = blocked(machine, "vm1v1"), machine.context
    for _ in range(2):
        machine.deliver("vm1v1", VECTOR)
    while machine.toolstack_busy():
        w.toolstack.turn(w)
    assert field(machine, v, "pir") == 1 << VECTOR
