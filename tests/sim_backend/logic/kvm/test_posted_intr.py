"""A vCPU is loaded, put and woken: its descriptor, its place on a wakeup list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim_backend.logic.kvm.context import POSTED_INTR_VECTOR, POSTED_INTR_WAKEUP_VECTOR
from sim_backend.logic.kvm.posted_intr import (
    direct,
    pi_enable_wakeup_handler,
    pi_wakeup_handler,
    vmx_vcpu_pi_load,
    vmx_vcpu_pi_put,
    wake_by_interrupt,
)
from sim_backend.logic.kvm.versions import KVM
from sim_backend.machine.kvm_invariants import nodes, problems
from tests.sim_backend.logic.kvm.conftest import DEVICE, blocked, doing, field, made, run_to


def test_who_blocks_waits_on_its_cpus_list_with_the_wakeup_vector(machine):
    v = blocked(machine)
    cpu = machine.memory.u32(v + machine.o.cpu)
    assert list(nodes(machine, cpu)) == [v]
    assert (field(machine, v, "nv"), field(machine, v, "sn")) == (POSTED_INTR_WAKEUP_VECTOR, 0)
    assert field(machine, v, "ndst") == machine.context.addresses.destinations[cpu]
    assert problems(machine) == []


def test_a_post_wakes_it_and_loading_takes_it_off_the_list(machine):
    v = blocked(machine)
    machine.post(DEVICE, 0)
    machine.settle()
    assert [list(nodes(machine, cpu)) for cpu in (0, 1)] == [[], []]
    assert (field(machine, v, "nv"), field(machine, v, "on"), field(machine, v, "pir")) == (POSTED_INTR_VECTOR, 0, 0)
    assert any(cpu.guest and cpu.current == v for cpu in machine.cpus)


def test_it_may_be_woken_on_another_cpu(machine):
    v = blocked(machine)
    cpu = machine.memory.u32(v + machine.o.cpu)
    machine.migrate("vm1v0", 1 - cpu)
    machine.settle()
    assert list(nodes(machine, cpu)) == [v], "it sleeps: it moves when it is woken"
    machine.post(DEVICE, 0)
    machine.settle()
    assert machine.memory.u32(v + machine.o.cpu) == 1 - cpu
    assert field(machine, v, "ndst") == machine.context.addresses.destinations[1 - cpu]
    assert list(nodes(machine, cpu)) == []


def test_who_is_preempted_is_not_notified_and_what_is_posted_meanwhile_is_not_lost():
    machine = made(vcpus=2, cpus=1)
    (waiting,) = [v for v in machine.names if v not in machine.state.scheduled]
    (other,) = [v for v in machine.names if v != waiting]
    assert (field(machine, waiting, "sn"), field(machine, other, "sn")) == (1, 0)
    first = next(iter(machine.names))
    machine.preempt(machine.vcpu_name(other))
    machine.settle()
    number = 0 if other == first else 1
    machine.post(DEVICE, number)
    machine.settle()
    assert (field(machine, other, "on"), field(machine, other, "sn")) == (0, 1)
    assert field(machine, other, "pir")
    machine.preempt(machine.vcpu_name(waiting))
    machine.settle()
    assert (field(machine, other, "sn"), field(machine, other, "pir")) == (0, 0)


def test_without_a_device_nothing_is_put_on_a_list(machine):
    machine.deassign(DEVICE)
    machine.settle()
    v = blocked(machine)
    assert [list(nodes(machine, cpu)) for cpu in (0, 1)] == [[], []]
    assert field(machine, v, "nv") == POSTED_INTR_VECTOR


def test_a_control_word_that_changes_meanwhile_is_written_again(machine):
    v = machine.vcpu("vm1v0")
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.block("vm1v0")
    run_to(machine, cpu, pi_enable_wakeup_handler, wake_by_interrupt)
    machine.memory.test_and_set_bit(v + machine.o.control, 0)
    cpu.turn(machine.context)
    assert doing(cpu) == (pi_enable_wakeup_handler.name, wake_by_interrupt.pc), "another try"
    cpu.turn(machine.context)
    assert (field(machine, v, "nv"), field(machine, v, "on")) == (POSTED_INTR_WAKEUP_VECTOR, 1)
    cpu.turn(machine.context)
    assert cpu.lapic.irr >> POSTED_INTR_WAKEUP_VECTOR & 1, "it interrupts itself: ON was set"


def test_the_wakeup_interrupt_leaves_those_alone_that_have_nothing(machine):
    machine = made(vcpus=2, cpus=1)
    one, other = blocked(machine, "vm1v0"), blocked(machine, "vm1v1")
    machine.post(DEVICE, 1)
    machine.settle()
    assert list(nodes(machine, 0)) == [one]
    assert field(machine, other, "nv") == POSTED_INTR_VECTOR


@pytest.mark.parametrize(
    ("fix", "procedure"),
    [("load_unlists", vmx_vcpu_pi_load), ("lists_preempted", vmx_vcpu_pi_put), ("wakeup_wakes_all", pi_wakeup_handler)],
)
def test_each_difference_is_a_field_of_the_version(fix, procedure):
    assert getattr(KVM, fix)
    machine = made(version=replace(KVM, name="another", **{fix: False}))
    assert machine.version != KVM
    assert procedure.steps


def test_a_vcpu_that_stays_where_it_was_has_sn_cleared_by_one_operation(machine):
    v = machine.vcpu("vm1v0")
    cpu = machine.cpus[machine.state.scheduled.index(v)]
    machine.preempt("vm1v0", True)
    seen = []
    for _ in range(200):
        if doing(cpu)[0] == vmx_vcpu_pi_load.name:
            seen.append(doing(cpu)[1])
        if not machine.run(1):
            break
    assert direct.pc not in seen
    assert field(machine, v, "sn") == 0
