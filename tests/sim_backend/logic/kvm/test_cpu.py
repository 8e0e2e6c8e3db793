"""Interrupts that a CPU takes in Linux."""

from __future__ import annotations

from sim_backend.logic.kvm.context import LOCAL_TIMER_VECTOR, POSTED_INTR_VECTOR, RESCHEDULE_VECTOR
from sim_backend.logic.kvm.cpu import HANDLERS, do_idle
from tests.sim_backend.logic.kvm.conftest import DEVICE, blocked, field, made


def test_a_notification_outside_of_the_guest_does_nothing(machine):
    blocked(machine)
    (cpu,) = [cpu for cpu in machine.cpus if not cpu.guest]
    machine.context.services.send_ipi(machine.context.outside, cpu.cpu, POSTED_INTR_VECTOR)
    machine.settle()
    assert (cpu.lapic.irr, cpu.lapic.isr, cpu.in_irq) == (0, 0, 0)
    assert cpu.stack == [do_idle.frame()]


def test_other_threads_of_the_host_have_their_turn(machine):
    v = machine.vcpu("vm1v0")
    machine.preempt("vm1v0", True)
    machine.settle()
    assert machine.state.tasklets == [0, 0]
    assert v in machine.state.scheduled


def test_an_interrupt_that_is_not_posted_comes_through_the_irqfd():
    machine = made(intpost=False)
    v = blocked(machine)
    machine.post(DEVICE, 0)
    machine.settle()
    assert v in machine.state.scheduled
    assert (field(machine, v, "pir"), field(machine, v, "on")) == (0, 0)


def test_every_vector_of_the_kernel_has_a_handler():
    assert {POSTED_INTR_VECTOR, RESCHEDULE_VECTOR, LOCAL_TIMER_VECTOR} < set(HANDLERS)
