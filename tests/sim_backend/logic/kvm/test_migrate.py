"""A vCPU's thread moves to another CPU."""

from __future__ import annotations

from sim_backend.machine.kvm_invariants import problems
from tests.sim_backend.logic.kvm.conftest import blocked, made


def test_one_that_runs_moves_when_it_is_switched_out():
    machine = made(vcpus=1)
    v = machine.vcpu("vm1v0")
    cpu = machine.state.scheduled.index(v)
    machine.migrate("vm1v0", 1 - cpu)
    machine.settle()
    assert machine.state.scheduled.index(v) == 1 - cpu
    assert machine.memory.u32(v + machine.o.cpu) == 1 - cpu
    assert problems(machine) == []


def test_one_that_sleeps_moves_when_it_is_woken(machine):
    v = blocked(machine)
    cpu = machine.memory.u32(v + machine.o.cpu)
    machine.migrate("vm1v0", 1 - cpu)
    machine.settle()
    assert machine.state.migrating == {v: 1 - cpu}
    machine.wake("vm1v0")
    machine.settle()
    assert machine.memory.u32(v + machine.o.cpu) == 1 - cpu
    assert machine.state.migrating == {}


def test_one_that_waits_moves_at_once():
    machine = made(vcpus=3)
    (waiting,) = [v for queue in machine.state.runq for v in queue]
    owner = next(cpu for cpu in (0, 1) if waiting in machine.state.runq[cpu])
    machine.migrate(machine.vcpu_name(waiting), 1 - owner)
    machine.settle()
    assert not machine.state.runq[owner]
    assert problems(machine) == []
