"""Softirqs, local APICs, who runs where."""

from __future__ import annotations

import pytest

from sim_backend.logic.calls import Calls
from sim_backend.logic.scheduler import EVENT_CHECK_VECTOR
from sim_backend.logic.services import Services
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


def test_a_softirq_on_another_cpu_interrupts_it_once(machine):
    services, (one, other) = machine.context.services, machine.cpus
    services.cpu_raise_softirq(one, other.cpu, 9)
    assert services.softirq_pending(other.cpu) == 1 << 9
    assert other.lapic.irr == 1 << EVENT_CHECK_VECTOR
    other.lapic.clear()
    services.cpu_raise_softirq(one, other.cpu, 9)
    assert other.lapic.irr == 0, "it was pending already"
    services.raise_softirq(one, 4)
    assert one.lapic.irr == 0, "nobody interrupts himself"


def test_memory_shows_what_runs_and_what_is_loaded(machine):
    w = machine.context
    v, idle = machine.vcpu("d1v0"), w.addresses.idle[0]
    w.services.set_curr_vcpu(0, idle)
    w.services.set_current(machine.cpus[0], v)
    assert machine.memory.u64(machine.layout.percpu(0, "curr_vcpu")) == w.virtual(idle)
    assert w.effect[2:] == ("current", w.effect[3], w.virtual(v))
    assert machine.state.curr[0] == idle
    assert machine.cpus[0].current == v


def test_a_cpu_goes_and_comes_back(machine):
    services, state = machine.context.services, machine.state
    services.stop_here(1)
    state.scheduled[1] = machine.context.addresses.idle[1]
    assert services.is_dead(1) == (len(machine.cpus[1].stack) == 1)
    services.free_area(1)
    with pytest.raises(SimError, match="CPU 1 has no per-CPU area"):
        machine.context.blocking_list(1)
    services.bring_up(1)
    assert (state.online, sorted(state.areas)) == ([0, 1], [0, 1])
    head = machine.context.blocking_list(1)
    assert machine.layout.list_nodes(head) == []


def test_waking_what_is_no_vcpu_any_more(machine):
    with pytest.raises(SimError, match="no vCPU any more"):
        machine.context.services.vcpu_wake(machine.cpus[0], 0x1000)


def test_they_are_what_the_procedures_call(machine):
    wanted = [name for name in vars(Calls) if not name.startswith("_")]
    assert wanted
    assert all(callable(getattr(Services, name)) for name in wanted)
    assert machine.context.calls is machine.context.services
