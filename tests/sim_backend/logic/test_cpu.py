"""A physical CPU: into the guest and out of it, softirqs, interrupts."""

from __future__ import annotations

import pytest

from sim_backend.logic.cpu import idle_loop, vmx_do_vmentry
from sim_backend.logic.program import PROCEDURE
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def the_cpu_of(machine, name):
    return machine.cpus[machine.state.scheduled.index(machine.vcpu(name))]


def test_a_notification_in_the_guest_causes_no_exit(machine):
    cpu, v = the_cpu_of(machine, "d1v0"), machine.vcpu("d1v0")
    machine.memory.test_and_set_bit(v + machine.o.pir, 0x44)
    machine.memory.test_and_set_bit(v + machine.o.control, 0)
    cpu.lapic.request(machine.memory.u8(machine.context.posted_intr_vector))
    taken = []
    machine.context.tally = Taken(taken)
    while machine.run(1):
        assert cpu.guest
    assert taken == [(v, 0x44)]
    assert machine.memory.u64(v + machine.o.control) & 1 == 0


class Taken:
    def __init__(self, taken):
        self.taken = lambda v, vector: taken.append((v, vector))


def test_another_interrupt_leaves_the_guest_and_comes_back(machine):
    cpu = the_cpu_of(machine, "d1v0")
    cpu.lapic.request(0x60)
    assert cpu.turn(machine.context)
    assert (cpu.guest, cpu.irqs, cpu.in_irq) == (False, False, 1)
    machine.settle()
    assert (cpu.guest, cpu.irqs, cpu.in_irq, cpu.lapic.isr) == (True, True, 0, 0)
    assert cpu.stack[0][PROCEDURE] == vmx_do_vmentry.number


def test_interrupts_wait_while_they_are_off(machine):
    cpu = the_cpu_of(machine, "d1v0")
    cpu.irqs = False
    cpu.lapic.request(0x60)
    cpu.turn(machine.context)
    assert cpu.lapic.irr == 1 << 0x60


def test_a_halt_goes_idle(machine):
    cpu = the_cpu_of(machine, "d1v0")
    machine.block("d1v0")
    machine.settle()
    assert not cpu.guest
    assert cpu.stack == [idle_loop.frame()]
    assert cpu.current == machine.context.addresses.idle[cpu.cpu]
