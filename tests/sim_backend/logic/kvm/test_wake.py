"""A vCPU is woken or kicked."""

from __future__ import annotations

from sim_backend.logic.kvm.context import EXITING_GUEST_MODE, IN_GUEST_MODE, REQ_EVENT
from sim_backend.logic.kvm.schedule import schedule, switch
from sim_backend.logic.kvm.wake import kvm_make_request, kvm_vcpu_kick, kvm_vcpu_wake_up
from tests.sim_backend.logic.kvm.conftest import blocked, run_to


def done(machine, procedure, *arguments):
    """Have the VMM's main thread run a procedure to its end; what it returned."""
    w = machine.context
    machine.order(procedure, *arguments)
    while machine.toolstack_busy():
        assert w.toolstack.turn(w)
    return w.toolstack.result


def test_nobody_is_woken_who_does_not_wait(machine):
    assert done(machine, kvm_vcpu_wake_up, machine.vcpu("vm1v0")) == 0
    v = blocked(machine)
    assert done(machine, kvm_vcpu_wake_up, v) == 1
    assert machine.memory.u8(v + machine.o.ready) == 1
    assert done(machine, kvm_vcpu_wake_up, v) == 0, "it is woken already"


def test_who_wakes_a_thread_waits_until_it_has_left_its_cpu(machine):
    v, w = machine.vcpu("vm1v0"), machine.context
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.block("vm1v0")
    run_to(machine, cpu, schedule, switch)
    machine.order(kvm_vcpu_wake_up, v)
    assert w.toolstack.turn(w)
    assert not w.toolstack.turn(w)
    assert cpu.turn(w)
    assert w.toolstack.turn(w)


def test_a_kick_has_it_leave_the_guest(machine):
    v = machine.vcpu("vm1v0")
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    done(machine, kvm_vcpu_kick, v)
    assert machine.memory.u32(v + machine.o.mode) == EXITING_GUEST_MODE
    assert cpu.lapic.irr
    machine.settle()
    assert cpu.guest
    assert machine.memory.u32(v + machine.o.mode) == IN_GUEST_MODE


def test_a_request_is_made_before_the_kick(machine):
    v, w = machine.vcpu("vm1v0"), machine.context
    machine.order(kvm_make_request, v, REQ_EVENT)
    w.toolstack.turn(w)
    assert machine.memory.u32(v + machine.o.requests) == 1 << REQ_EVENT
