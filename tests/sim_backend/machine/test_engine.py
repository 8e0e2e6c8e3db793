"""Runs: deterministic, copied, hashed, told."""

from __future__ import annotations

import pytest

from sim_backend.machine.event import Event
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import BUNDLED, load


@pytest.mark.parametrize("name", BUNDLED)
def test_the_same_seed_gives_the_same_bytes(name):
    digests = set()
    for seed in (1, 1, 2):
        machine = Machine(load(name), seed=seed)
        machine.run(1500)
        machine.run(1500)
        digests.add((seed, machine.digest(), machine.memory.digest()))
    assert len(digests) == 2


def test_steps_one_by_one_are_the_same_run():
    one, other = (Machine(load("one-device"), seed=5) for _ in range(2))
    one.run(3000)
    events = list(other.events_of(3000))
    assert one.digest() == other.digest()
    assert [event.number for event in events] == list(range(1, 3001))


def test_a_copy_goes_its_own_way():
    machine = Machine(load("wakeup-storm"), seed=3)
    machine.run(5000)
    before = machine.digest()
    copy = machine.copy()
    assert copy.digest() == before
    copy.run(2000)
    assert machine.digest() == before
    machine.run(2000)
    assert machine.digest() == copy.digest()
    assert machine.memory == copy.memory


def test_every_single_step_changes_the_digest():
    """So a digest can stand for a state: at least the generator moves."""
    machine = Machine(load("one-device"), seed=3)
    seen = {machine.digest()}
    for _ in range(300):
        machine.run(1)
        seen.add(machine.digest())
    assert len(seen) == 301


def test_an_event_is_a_line():
    machine = Machine(load("idle"))
    machine.settle()
    assert machine.step() is None
    machine.block("d1v0")
    event = machine.step()
    assert isinstance(event, Event)
    assert str(event) == "CPU 0: vmx_asm_do_vmentry: runs in the guest | d1v0 in the guest, until HLT 1 -> 0"
    assert (event.actor, event.function, event.subject, event.before, event.after) == (
        *("CPU 0", "vmx_asm_do_vmentry", "d1v0", 1, 0),
    )
    assert machine.entered == ("CPU 0", "vcpu_block")
    lines = [str(line) for line in machine.events_of(100)]
    assert "CPU 0: vmx_vcpu_block: lets posts send the wakeup vector | d1v0 nv 0xf2 -> 0xf3" in lines
    assert any(line.endswith("d1v0 runstate running -> blocked") for line in lines)
