"""Breaks: exact to the step."""

from __future__ import annotations

import pytest

from inspector.targets.sim.breaks import Break, Breaks, functions
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


def test_a_function_stops_where_it_is_entered_and_nothing_of_it_is_done():
    target = Simulation(Machine(load("one-device")))
    number = target.breaks.add(Break("vmx_vcpu_block"))
    told = target.step(10_000)
    assert target.stopped is dict(target.breaks)[number]
    assert all(event["function"] != "vmx_vcpu_block" for event in told)
    # The same run, nobody stopping it: that CPU's next step is the function's first.
    cpu = told[-1]["cpu"]
    target.breaks.clear()
    on_it = next(event for event in target.step(1000) if event["cpu"] == cpu)
    assert on_it["function"] == "vmx_vcpu_block"
    assert target.stopped is None


def test_stopping_changes_nothing_of_the_run():
    free, stopping = (Simulation(Machine(load("wakeup-storm"), seed=3)) for _ in range(2))
    free.drive("run", 2000)
    for name in ("schedule", "vmx_sync_pir_to_irr"):
        stopping.breaks.add(Break(name))
    while stopping.steps < 2000:
        assert stopping.step(2000 - stopping.steps)
    assert stopping.machine.digest() == free.machine.digest()
    assert all(each.hits > 1 for _, each in stopping.breaks)


def test_a_condition_stops_when_it_becomes_so_not_while_it_is():
    target = Simulation(Machine(load("idle")))
    target.breaks.add(Break("between", lambda asked: 10 <= target.steps < 20 or target.steps == 30))
    for expected in (10, 30):
        target.step(100)
        assert (target.steps, target.stopped and target.stopped.words) == (expected, "between")
    target.step(5)
    assert target.stopped is None


def test_numbers_are_not_given_twice():
    breaks = Breaks()
    assert [breaks.add(Break("schedule")) for _ in range(2)] == [1, 2]
    breaks.delete(2)
    assert breaks.add(Break("schedule")) == 3
    assert [number for number, _ in breaks] == [1, 3]
    with pytest.raises(KeyError):
        breaks.delete(2)
    breaks.clear()
    assert len(breaks) == 0


def test_the_functions_are_those_of_steps():
    told = {
        event["function"] for event in Simulation(Machine(load("one-device"))).step(500) if event["cpu"] is not None
    }
    assert {"schedule", "vmx_vcpu_block"} <= functions()
    assert "schedule" in told
