"""Tripwires on the simulated machine trip at the very step, and leave nothing behind."""

from __future__ import annotations

import pytest

from inspector.base.errors import TargetError
from inspector.targets.sim.watchpoints import Watchpoints
from inspector.targets.watchpoint import Write
from sim_backend.layout.layout import LayoutConfig
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

ENOUGH = 20


@pytest.fixture
def machine():
    machine = Machine(load("wakeup-storm"), seed=3)
    machine.run(3000)
    return machine


def descriptor(machine, vcpu=0):
    return Write(0, machine.layout.pi_desc(1, vcpu), 64)


def armed(machine, *writes, hooks=()):
    return Watchpoints(machine, writes, dict.fromkeys(hooks, 0), lambda cpu: {"rip": cpu})


def test_it_stops_at_the_step_that_changed_the_memory(machine):
    place = descriptor(machine)
    watch, other = armed(machine, place), machine.copy()
    before = machine.memory.read(place.physical, 64)
    for _ in range(5):
        start = machine.steps
        stop = watch.stop_event(ENOUGH)
        assert stop.kind == "write"
        assert machine.memory.read(place.physical, 64) != before
        # Up to the step before, nothing had changed.
        other.run(machine.steps - start - 1)
        assert other.memory.read(place.physical, 64) == before
        other.run(1)
        before = machine.memory.read(place.physical, 64)
        assert other.memory.read(place.physical, 64) == before
        assert stop.registers == ({} if stop.cpu is None else {"rip": stop.cpu})


def test_times_are_steps_since_it_was_armed(machine):
    watch = armed(machine, descriptor(machine))
    start = machine.steps
    assert watch.stop_event(ENOUGH).time == machine.steps - start


def test_a_function_that_is_entered(machine):
    stop = armed(machine, hooks=("vmx_vcpu_block",)).stop_event(ENOUGH)
    assert (stop.kind, stop.function) == ("hook", "vmx_vcpu_block")
    assert stop.cpu is not None


def test_who_observed_before_observes_on(machine):
    seen = []
    machine.memory.observer = watcher = lambda *store: seen.append(store)
    armed(machine, descriptor(machine)).stop_event(ENOUGH)
    assert machine.memory.observer is watcher
    assert seen


def test_no_time_is_no_step(machine):
    steps = machine.steps
    assert armed(machine, descriptor(machine)).stop_event(0) is None
    assert machine.steps == steps
    assert machine.memory.observer is None


def test_a_machine_that_stands_still_is_told():
    machine = Machine(LayoutConfig())
    machine.settle()
    with pytest.raises(TargetError, match="stands still: nothing can happen"):
        armed(machine, Write(0, 0x1000, 8)).stop_event(ENOUGH)
    assert machine.memory.observer is None
