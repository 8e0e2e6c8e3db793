"""Interrupts, threads, who runs where."""

from __future__ import annotations

from sim_backend.logic.kvm.schedule import OTHER
from tests.sim_backend.logic.kvm.conftest import blocked


def test_memory_shows_what_runs(machine):
    w = machine.context
    for cpu in machine.cpus:
        task = w.addresses.tasks[cpu.current]
        assert machine.memory.u64(w.addresses.current[cpu.cpu]) == w.virtual(task)
        assert machine.memory.u64(w.addresses.running[cpu.cpu]) == w.virtual(cpu.current)
        assert machine.memory.u32(task + machine.o.task_cpu) == cpu.cpu
    v = blocked(machine)
    (idle,) = [cpu for cpu in machine.cpus if cpu.current == OTHER]
    assert machine.memory.u64(w.addresses.current[idle.cpu]) == w.virtual(w.addresses.idle[idle.cpu])
    assert machine.memory.u64(w.addresses.running[idle.cpu]) == 0
    assert not w.services.is_on_cpu(v)


def test_a_thread_is_woken_once(machine):
    v, services = blocked(machine), machine.context.services
    assert services.wake_up_process(machine.context.toolstack, v)
    assert not services.wake_up_process(machine.context.toolstack, v)
    assert sum(v in queue for queue in machine.state.runq) == 1


def test_who_runs_here_is_told_by_memory(machine):
    cpu = machine.cpus[0]
    assert machine.context.services.runs_here(cpu, cpu.current)
    assert not machine.context.services.runs_here(machine.cpus[1], cpu.current)
    assert not machine.context.services.runs_here(machine.context.toolstack, cpu.current)
