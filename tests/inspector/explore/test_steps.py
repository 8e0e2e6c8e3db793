"""Reading a history: what each step changed is what memory says."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from inspector.analysis.situation import situation
from inspector.capture.inspection import Inspection
from inspector.explore.steps import read
from inspector.explore.table import blocks, groups
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.environment import Move
from sim_backend.memory.errors import SimError

from .histories import MAKERS


def test_each_step_is_the_machines(history, reading):
    assert [step.number for step in reading.steps] == list(range(1, len(history.moves) + 1))
    for step, move in zip(reading.steps, history.moves, strict=True):
        assert step.actor == (move.turn or "environment")
        if move.order:
            assert (step.function, step.action) == (move.order, " ".join(map(str, move.arguments)))


def test_changes_add_up_to_what_memory_holds(history, reading):
    """At some steps: the state before, and all changes up to there, are what a command would read there."""
    places = {*range(0, len(history.moves), 19), len(history.moves)}
    states = {name: dict(state) for name, state in reading.start.items()}
    stands = dict(reading.situations)
    for number in range(len(history.moves) + 1):
        if number:
            step = reading.steps[number - 1]
            for name, changes in step.changes.items():
                if "there" in changes:
                    assert changes == {"there": (1, 0)}
                    del states[name], stands[name]
                    continue
                for field, (before, after) in changes.items():
                    assert before != after
                    assert states[name][field] == before
                    states[name][field] = after
            for name, where in step.situations.items():
                assert stands[name] != where
                stands[name] = where
        if number in places:
            snapshot = Inspection(Simulation(history.at(number))).snapshot
            vcpus = {vcpu.name: vcpu for vcpu in snapshot.vcpus if vcpu.pi}
            assert vcpus.keys() == states.keys()
            for name, vcpu in vcpus.items():
                state = states[name]
                assert all(state[field] == getattr(vcpu.pi, field) for field in ("pir", "on", "sn", "nv", "ndst"))
                assert state["list"] == vcpu.blocking_list
                assert state["blocked"] == int(vcpu.blocked)
                assert state["runstate"] == vcpu.runstate
                assert stands[name] == situation(snapshot, vcpu).id


def test_a_stranded_interrupt(strandeds):
    seen = [(step.number, name, changes) for step in strandeds.steps for name, changes in step.changes.items()]
    of_descriptor = [
        (name, field, changes[field]) for _, name, changes in seen for field in ("pir", "on", "sn") if field in changes
    ]
    assert of_descriptor == [
        ("d1v0", "sn", (0, 1)),
        ("d1v0", "pir", ((), (0x30,))),
        ("d1v1", "sn", (0, 1)),
        ("d1v0", "sn", (1, 0)),
    ]
    walk = [step.situations["d1v0"] for step in strandeds.steps if "d1v0" in step.situations]
    assert walk == ["S2", "between", "S4", "S2", "S1"]
    assert [(finding.rule, finding.subject, finding.severity) for finding in strandeds.findings] == [
        ("D5", "d1v0", "warning")
    ]
    assert strandeds.later == 0
    assert [(finding.rule, finding.subject, finding.severity) for finding in strandeds.lasting] == [
        ("D5", "d1v0", "bug")
    ]
    cleared = next(step.number for step in strandeds.steps if step.changes.get("d1v0", {}).get("sn") == (1, 0))
    assert (cleared, "D5") in [(number, finding.rule) for number, finding in strandeds.fired]


def test_a_machine_that_is_not_at_rest_says_how_far_it_is_from_it(stranded, told):
    reading = read(replace(stranded, moves=stranded.moves[:60]))
    assert reading.later > 10
    assert f"at rest, {reading.later} steps later" in told(reading)


def test_a_crash_is_shown():
    history = MAKERS["woken"]()
    machine = history.machine()
    # Nothing crashes by itself: its memory is written over as the history begins.
    head = machine.context.blocking_list(0)
    for move in history.moves:
        machine.perform(move)
    machine.memory.set_u64(head + machine.o.list_next, 0xDEAD_0000_0000)
    machine.cpus[0].lapic.request(machine.memory.u8(machine.context.pi_wakeup_vector))

    def replay():
        copy = machine.copy()
        for _ in range(4):
            yield copy, copy.perform(Move("CPU 0"))

    about = {"scenario": history.scenario, "version": history.version, "property": None, "why": None}
    reading = read(SimpleNamespace(machine=machine.copy, replay=replay, **about))
    assert reading.crashed.startswith("CPU 0: pi_wakeup_interrupt: ")
    assert reading.later is None
    text = "\n".join(map(str, blocks(reading)))
    assert f"The machine cannot go on: {reading.crashed}" in text
    assert "cannot go on: " in reading.steps[-1].action
    assert groups(reading.steps)[-1] == [reading.steps[-1]]


def test_moves_that_cannot_be_done_are_told(stranded):
    with pytest.raises(SimError, match="step 2 of the history"):
        read(replace(stranded, moves=(stranded.moves[0], Move("device 00:03.0"))))
