"""A vCPU halts."""

from __future__ import annotations

from sim_backend.logic.kvm.block import kvm_vcpu_block, look_again, say_sleeps
from sim_backend.logic.kvm.context import HALTED, REQ_UNBLOCK, RUNNABLE
from sim_backend.machine.kvm_invariants import sleeps
from tests.sim_backend.logic.kvm.conftest import DEVICE, blocked, run_to


def test_its_thread_sleeps(machine):
    v = blocked(machine)
    assert sleeps(machine, v)
    assert machine.memory.u32(v + machine.o.mp_state) == HALTED
    assert machine.memory.u64(v + machine.o.wait) == machine.context.virtual(machine.context.addresses.tasks[v])


def test_what_comes_before_the_last_look_keeps_it_awake(machine):
    v, w = machine.vcpu("vm1v0"), machine.context
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.block("vm1v0")
    run_to(machine, cpu, kvm_vcpu_block, say_sleeps)
    machine.post(DEVICE, 0)
    while w.devices[0x18].turn(w):
        pass
    run_to(machine, cpu, kvm_vcpu_block, look_again)
    machine.settle()
    assert machine.memory.u32(v + machine.o.mp_state) == RUNNABLE
    assert machine.memory.u64(v + machine.o.wait) == 0
    assert cpu.guest


def test_a_request_has_it_look_again_and_go_back_to_sleep(machine):
    v = blocked(machine)
    machine.memory.test_and_set_bit(v + machine.o.requests, REQ_UNBLOCK)
    machine.context.services.wake_up_process(machine.context.toolstack, v)
    machine.settle()
    assert sleeps(machine, v)
    assert machine.memory.u32(v + machine.o.requests) == 0


def test_with_interrupts_off_none_wakes_it_but_an_nmi_does(machine):
    v = machine.vcpu("vm1v0")
    machine.down("vm1v0")
    machine.settle()
    machine.post(DEVICE, 0)
    machine.settle()
    assert sleeps(machine, v)
    machine.wake("vm1v0")
    machine.settle()
    assert not sleeps(machine, v)
