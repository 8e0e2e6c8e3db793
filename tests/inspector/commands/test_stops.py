"""Where to stop, in words: functions and conditions of the simulated machine."""

from __future__ import annotations

import pytest

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.stops import stop_at
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def target():
    return Simulation(Machine(load("idle")))


def stop(target, *words):
    return stop_at(Inspection(target), target, words)


def test_a_condition_is_false_before_and_true_after(target):
    made = stop(target, "vcpus", ".vcpus[name=d1v0].runstate", "==", "running")
    assert (made.held, made.missing) == (False, "")
    events = list(target.events(1000, made))
    assert target.stopped is made
    assert made.held
    assert events[-1].number == target.steps
    twin = Simulation(Machine(load("idle")))
    twin.drive("run", target.steps - 1)
    assert not stop(twin, "vcpus .vcpus[name=d1v0].runstate == running").held
    twin.drive("run", 1)
    assert stop(twin, "vcpus .vcpus[name=d1v0].runstate == running").held


def test_what_is_not_there_is_told(target):
    made = stop(target, "vcpus", ".vcpus[name=d1v0].nothing", "==", "1")
    assert not made.held
    assert "nothing" in made.missing


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vmx_vcpu_blok"], "did you mean vmx_vcpu_block?"),
        (["step", ".events[#]", "==", "1"], "step is no question but does something"),
        (["audit --again 1 .findings[#] == 1"], "moves the machine"),
        (["vcpus", ".x"], "expected a function of Xen, or COMMAND PATH SIGN VALUE"),
        (["nothing", ".x", "==", "1"], "No command|no command"),
    ],
)
def test_what_names_no_place(target, words, said):
    with pytest.raises(UsageError, match=said):
        stop(target, *words)
