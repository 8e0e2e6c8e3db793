"""What a step did, as data and as a line."""

from __future__ import annotations

import json

from sim_backend.logic.context import LAPIC_IRR_BIT, PIR_WORD, VIRR_WORD
from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.machine.environment import Move
from sim_backend.machine.event import Event
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


def test_who_did_it_is_data():
    machine = Machine(load("one-device"), seed=2, store_buffers=True)
    seen = set()
    for event in machine.events_of(3000):
        (actor,) = (actor for actor in machine.actors if actor.id == event.who)
        assert actor.name == event.actor
        assert event.cpu == (actor.cpu if actor.id.kind is ActorKind.CPU else None)
        seen.add(actor.id.kind)
        if actor.id.kind is ActorKind.STORE_BUFFER:
            assert (event.cpu, event.of_cpu) == (None, actor.id.number)
    assert seen >= {ActorKind.CPU, ActorKind.STORE_BUFFER, ActorKind.DEVICE, ActorKind.OUTSIDE}


def test_which_step_it_was_is_the_name_of_a_function():
    machine = Machine(load("one-device"), seed=2)
    names = {(event.function, event.step) for event in machine.events_of(3000)}
    assert ("vmx_sync_pir_to_irr", "take_group") in names
    assert ("VT-d interrupt request", "post_to_descriptor") in names
    assert all(step != "_" for _, step in names)


def test_an_interrupt_that_is_sent_is_told_as_such():
    machine = Machine(load("one-device"), seed=2)
    sent = [event for event in machine.events_of(2000) if event.sends]
    assert sent
    assert all(event.changed == LAPIC_IRR_BIT and "LAPIC IRR bit 0x" in str(event) for event in sent)


def test_an_order_is_the_environments():
    machine = Machine(load("idle"))
    machine.settle()
    event = machine.perform(Move(order="block", arguments=("d1v0",)))
    assert event.ordered
    assert (event.cpu, event.actor, str(event)) == (None, "environment", "environment: block: d1v0")


def test_its_document_is_json():
    event = Event(7, "CPU 1", "f", "does", who=ActorId(ActorKind.CPU, 1), step="do_it")
    again = json.loads(json.dumps(event.document()))
    assert (again["step"], again["cpu"], again["step_name"], again["field"]) == (7, 1, "do_it", None)


def test_values_in_words():
    line = Event(1, "CPU 0", "f", "a", "d1v0", "runstate", 0, 2)
    assert str(line).endswith("d1v0 runstate running -> blocked")
    assert str(Event(1, "CPU 0", "f", "a", "d1v0", "on the blocking list of CPU", -1, 12)).endswith("none -> 12")


def test_words_of_vectors_are_told_as_vectors():
    def told(field, changed, before, after):
        event = Event(1, "CPU 0", "f", "does", "d1v0", field, before, after, changed=changed)
        assert event.document()["before"] == before
        return str(event).partition(" | ")[2]

    assert told("pir[1]", PIR_WORD, 1 << 2 | 1 << 63, 0) == "d1v0 pir[1] 0x42 0x7f -> none"
    assert told("pir[3]", PIR_WORD, 0, 0) == "d1v0 pir[3] none -> none"
    assert told("vIRR[1]", VIRR_WORD, 1 << 16, 1 << 16 | 1 << 17) == "d1v0 vIRR[1] 0x30 -> 0x30 0x31"
    lines = [str(event) for event in Machine(load("one-device"), seed=2).events_of(3000)]
    assert any("d1v0 pir[0] 0x30 -> none" in line for line in lines)
