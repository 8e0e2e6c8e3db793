"""The scheduler: who runs, who waits, and what is saved before somebody runs elsewhere."""

from __future__ import annotations

import pytest

from sim_backend.layout.domains import BLOCKED, CLEAN, RUNNABLE, RUNNING
from sim_backend.logic.scheduler import add, runnable
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("two-blocked"))
    machine.settle()
    return machine


def runstate(machine, v):
    return machine.memory.u32(v + machine.o.runstate)


def test_one_runs_and_the_other_waits_until_the_slice_ends(machine):
    (running,) = machine.state.scheduled
    (waiting,) = set(machine.names) - {running}
    assert (runstate(machine, running), runstate(machine, waiting)) == (RUNNING, RUNNABLE)
    machine.preempt(machine.vcpu_name(running))
    machine.settle()
    assert machine.state.scheduled == [waiting]
    assert machine.state.runq == [[running]]


def test_idle_keeps_the_state_of_who_blocked(machine):
    for v in machine.names:
        machine.block(machine.vcpu_name(v))
    machine.settle()
    (loaded,) = machine.state.curr
    assert machine.state.scheduled == machine.context.addresses.idle
    assert loaded in machine.names, "lazily: nothing was switched"
    assert machine.memory.u32(loaded + machine.o.dirty_cpu) == 0
    (other,) = set(machine.names) - {loaded}
    assert machine.memory.u32(other + machine.o.dirty_cpu) == CLEAN
    assert {runstate(machine, v) for v in machine.names} == {BLOCKED}


def test_what_keeps_a_vcpu_from_running(machine):
    w = machine.context
    for place in ("pause_flags", "pause_count"):
        v = machine.vcpu("d1v0")
        assert runnable(w, v)
        machine.memory.set_u32(v + getattr(machine.o, place), 1)
        assert not runnable(w, v)
        machine.memory.set_u32(v + getattr(machine.o, place), 0)
    add(w, w.domain_of(v) + machine.o.domain_pause_count, 1)
    assert not runnable(w, v)


def test_counters_wrap(machine):
    place = machine.vcpu("d1v0") + machine.o.pause_count
    assert add(machine.context, place, -1) == 0xFFFF_FFFF
    assert add(machine.context, place, 1) == 0
