"""What happens of itself, as the workload has it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest

from sim_backend.logic.program import ActorKind
from sim_backend.logic.workload import Workload
from sim_backend.machine.machine import Machine
from sim_backend.machine.outside import _HAPPENINGS
from sim_backend.scenario.scenario import load

WORDS = {
    "timer": "timer: ends a time slice",
    "event": "vcpu_mark_events_pending",
    "emulated": "vmx_deliver_posted_intr",
    "tasklet": "tasklet_schedule",
    "migrate": "operator: asks for a migration",
    "pause": "operator: pauses a vCPU",
    "hotplug": "operator: asks for a device back",
    "offline": "operator: takes a CPU offline",
}


def test_every_rate_of_the_outside_has_something_that_happens():
    assert {name for name, _ in Workload(**dict.fromkeys(_HAPPENINGS, 1)).outside} == set(_HAPPENINGS) == set(WORDS)
    assert set(_HAPPENINGS) <= {field.name for field in fields(Workload)}


@pytest.mark.parametrize("name", WORDS)
def test_it_happens_alone(name):
    scenario = load("one-device")
    machine = Machine(replace(scenario, workload=Workload(**{name: 1024})), seed=1)
    events = (event for event in machine.events_of(600) if event.who.kind is ActorKind.OUTSIDE)
    found = Counter(f"{event.function}: {event.action}" for event in events)
    assert any(WORDS[name] in words for words in found), found


def test_nothing_happens_where_nothing_is_asked_for():
    machine = Machine(replace(load("one-device"), workload=Workload()), seed=1)
    machine.settle()
    assert machine.step() is None
