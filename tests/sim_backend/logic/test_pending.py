"""Whether there is anything to be injected."""

from __future__ import annotations

import pytest

from sim_backend.logic.pending import INTERRUPT, NOTHING, UPCALL, look_for_interrupts
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


def looked(machine, v):
    cpu = machine.cpus[0]
    below = len(cpu.stack)
    cpu.call(look_for_interrupts, v)
    while len(cpu.stack) > below:
        assert cpu.advance(machine.context)
    return cpu.result


@pytest.mark.parametrize("version", ["current", "seed"])
def test_what_is_found(version):
    machine = Machine(load("idle"), version)
    machine.settle()
    v = machine.vcpu("d1v0")
    assert looked(machine, v) == NOTHING
    machine.memory.test_and_set_bit(v + machine.o.pir, 0x31)
    assert looked(machine, v) == NOTHING, "ON is clear: PIR is not looked at"
    machine.memory.test_and_set_bit(v + machine.o.control, 0)
    assert looked(machine, v) == INTERRUPT
    assert machine.context.guests.highest_virtual(v) == 0x31


@pytest.mark.parametrize(("version", "moved"), [("current", True), ("seed", False)])
def test_an_upcall_wins_and_only_the_first_version_then_leaves_pir_alone(version, moved):
    machine = Machine(load("idle"), version)
    machine.settle()
    v = machine.vcpu("d1v0")
    machine.state.events[v] = 1
    machine.memory.test_and_set_bit(v + machine.o.pir, 0x31)
    machine.memory.test_and_set_bit(v + machine.o.control, 0)
    assert looked(machine, v) == UPCALL
    assert (machine.context.guests.highest_virtual(v) == 0x31) == moved
