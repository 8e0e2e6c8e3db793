"""A condition: parsed once, asked of many looks."""

from __future__ import annotations

import pytest

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.condition import SIGNS, Condition
from inspector.commands.json_path import PathError
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

FORM = "expected this"


def condition(*words: str) -> Condition:
    return Condition.of(words, FORM)


def test_it_is_asked_of_each_look():
    target = Simulation(Machine(load("idle")))
    look = Inspection(target)
    asked = condition("vcpus", ".vcpus[name=d1v0].runstate", "==", "running")
    answer, found = asked.look(look)
    assert (found, asked.holds(found)) == ("runnable", False)
    assert answer.document["vcpus"]
    target.drive("run", 1000)
    _, found = asked.look(look.again())
    assert asked.holds(found)
    assert str(asked) == '.vcpus[name=d1v0].runstate of `vcpus` == "running"'


def test_a_place_that_is_not_there():
    look = Inspection(Simulation(Machine(load("idle"))))
    with pytest.raises(PathError):
        condition("vcpus", ".vcpus[name=d9v0].cpu", "==", "1").look(look)


@pytest.mark.parametrize("words", [(), ("vcpus", ".x", "=="), ("vcpus", ".x", "is", "1"), ("expect", "a", "==", "1")])
def test_what_is_none(words):
    with pytest.raises(UsageError, match=FORM):
        condition(*words)


@pytest.mark.parametrize(("sign", "expected"), [("<", "x"), ("=~", "(")])
def test_a_value_that_cannot_stand_there(sign, expected):
    with pytest.raises(UsageError):
        condition("vcpus", ".x", sign, expected)


@pytest.mark.parametrize(
    ("sign", "expected", "yes", "no"),
    [
        ("==", "0xf2", 0xF2, True),
        ("==", "18446744073709551615", "0xffffffffffffffff", "0xfffffffffffffffe"),
        ("!=", "1", True, 1),
        (">", "0x10", 17, "text"),
        ("in", "running,runnable", "runnable", "blocked"),
        ("=~", "^run", "running", "a run"),
    ],
)
def test_the_signs(sign, expected, yes, no):
    assert sign in SIGNS
    asked = condition("vcpus", ".x", sign, expected)
    assert asked.holds(yes)
    assert not asked.holds(no)
