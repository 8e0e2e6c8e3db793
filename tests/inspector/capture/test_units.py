"""A unit of a target as the snapshot has it."""

from __future__ import annotations

import pytest

from inspector.capture.inspection import Inspection
from inspector.model.absence import NOT_APPLICABLE, UNREADABLE
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    return Machine(load("one-device"))


def unit(machine):
    return Inspection(Simulation(machine)).snapshot.units[-1]


def test_the_table_is_what_lies_in_memory(machine):
    found = unit(machine)
    layout = machine.layout
    for at, index in enumerate(found.indices):
        assert found.raw[at * 16 :][:16] == layout.memory.read(layout.irte(len(layout.units) - 1, index), 16)
    assert found.in_use == len(found.indices)
    assert found.absent == ()


def test_an_entry_that_was_freed_badly_is_stale(machine):
    layout = machine.layout
    place = layout.irte(len(layout.units) - 1, 0x1234)
    layout.memory.write(place, bytes(8) + b"\x18" + bytes(7))
    assert unit(machine).stale_indices == (0x1234,)


def test_registers_and_what_is_derived_of_them_agree(machine):
    found = unit(machine)
    assert found.raw_register("IRTA") == found.irta
    assert found.raw_register("FSTS") == found.fsts
    assert found.raw_register("CAP") == found.cap
    assert {absence.kind for absence in found.absent} <= {NOT_APPLICABLE, UNREADABLE}
