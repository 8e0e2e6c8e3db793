"""Into the guest and out of it."""

from __future__ import annotations

from sim_backend.logic.kvm.context import IN_GUEST_MODE, OUTSIDE_GUEST_MODE
from sim_backend.logic.kvm.vcpu import enter, look_for_work, vcpu_enter_guest
from tests.sim_backend.logic.kvm.conftest import field, run_to


def running(machine, name="vm1v0"):
    """A vCPU and the CPU that it runs on."""
    v = machine.vcpu(name)
    return v, machine.cpus[machine.state.scheduled.index(v)]


def test_its_mode_says_so_before_it_looks_at_pir(machine):
    v, cpu = running(machine)
    machine.hypercall("vm1v0")
    run_to(machine, cpu, vcpu_enter_guest, look_for_work)
    assert machine.memory.u32(v + machine.o.mode) == IN_GUEST_MODE
    assert not cpu.irqs


def test_it_turns_back_for_another_thread(machine):
    v, cpu = running(machine)
    machine.hypercall("vm1v0")
    run_to(machine, cpu, vcpu_enter_guest, look_for_work)
    machine.state.reschedule[cpu.cpu] = 1
    cpu.turn(machine.context)
    cpu.turn(machine.context)
    assert machine.memory.u32(v + machine.o.mode) == OUTSIDE_GUEST_MODE
    assert cpu.irqs


def test_a_notification_that_comes_on_the_way_is_taken_in_the_guest(machine):
    v, cpu = running(machine)
    w = machine.context
    machine.hypercall("vm1v0")
    run_to(machine, cpu, vcpu_enter_guest, enter)
    machine.deliver("vm1v0", 0x51)
    while machine.toolstack_busy():
        w.toolstack.turn(w)
    assert cpu.lapic.irr
    assert not cpu.guest
    machine.settle()
    assert (field(machine, v, "on"), field(machine, v, "pir"), cpu.lapic.irr) == (0, 0, 0)


def test_the_guest_interrupts_another_vcpu(machine):
    other = machine.vcpu("vm1v1")
    machine.ipi("vm1v0", "vm1v1", 0x61)
    w = machine.context
    seen = []

    class Tally:
        def posted(self, v, vector):
            raise AssertionError("no device did")

        def taken(self, v, vector):
            seen.append((v, vector))

    w.tally = Tally()
    machine.settle()
    assert seen == [(other, 0x61)]


def test_an_expired_timer_interrupts_its_vcpu(machine):
    v, _ = running(machine)
    machine.block("vm1v0")
    machine.settle()
    machine.expire_timer("vm1v0")
    machine.settle()
    assert v in machine.state.scheduled
    assert machine.state.expired == []
