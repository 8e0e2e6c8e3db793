"""PIR is moved to the virtual IRR."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import run_procedure
from sim_backend.logic.pi.sync import INTERRUPT, NOTHING, UPCALL, look_for_interrupts
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load

from .alone import descriptor, set_descriptor


@pytest.mark.parametrize("on", [0, 1])
def test_pir_is_moved_only_if_on(layout, on):
    vectors = 1 << 0x31 | 1 << 0xFE | 1 << 0x10
    set_descriptor(layout, on=on, pir=vectors)
    run_procedure("vmx_sync_pir_to_irr", layout, layout.vcpu(1, 0))
    after = descriptor(layout)
    irr = [layout.memory.u32(layout.vlapic(1, 0) + 0x200 + 16 * word) for word in range(8)]
    assert after["on"] == 0
    assert after["pir"] == (0 if on else vectors)
    assert sum(word << 32 * n for n, word in enumerate(irr)) == (vectors if on else 0)


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
