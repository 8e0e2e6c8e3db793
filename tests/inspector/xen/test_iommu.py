"""Xen's list of VT-d units, and who is behind each."""

from __future__ import annotations

import pytest

from inspector.model.vtd import HPET, IOAPIC
from inspector.targets.sim.simulation import Simulation
from inspector.xen.find import find
from inspector.xen.interrupts import ioapic_ids, ioapic_pins, msis
from inspector.xen.iommu import LIST, iommus
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    return Machine(load("one-device"))


@pytest.fixture
def xen(machine):
    return find(Simulation(machine))


def test_each_unit_with_the_platform_behind_it(machine, xen):
    units, absent = iommus(xen)
    assert absent == []
    assert [unit.index for unit in units] == list(range(len(machine.layout.units)))
    behind = {(at.kind, at.enumeration_id) for unit in units for at in unit.platform}
    assert {at for at in behind if at[0] == IOAPIC} == {(IOAPIC, n) for n in range(machine.layout.config.ioapics)}
    assert {kind for kind, _ in behind} <= {IOAPIC, HPET}


def test_a_list_that_loops_is_told_and_what_was_read_stays(machine, xen):
    layout = machine.layout
    unit = layout.units[0]
    node = unit.drhd + layout.member("acpi_drhd_unit", "list")
    layout.memory.set_u64(node + layout.member("list_head", "next"), layout.virtual(node))
    units, (absence,) = iommus(find(Simulation(machine)))
    assert units
    assert (absence.subject, absence.member) == (LIST, "units")
    assert "it loops" in absence.why


def test_pins_and_messages_by_index(machine, xen):
    pins = ioapic_pins(xen)
    assert ioapic_ids(xen, machine.layout.config.ioapics) == sorted({pin.id for pin in pins})
    assert len({(pin.ioapic, pin.pin) for pin in pins}) == len(pins)
    assert {msi.device for msi in msis(xen)} == {device.bdf for device in machine.layout.config.devices}
