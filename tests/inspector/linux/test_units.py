"""Linux's own view of its VT-d units."""

from __future__ import annotations

import struct

from inspector.linux.units import LIST, ORIGIN, eim, units
from inspector.model.vtd import IOAPIC, Platform
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_interrupts import CAP, REGISTERS, TABLE_AT, UNIT_SID
from tests.inspector.linux.made_linux import DIRECT


def test_a_unit_its_table_and_who_is_behind_it(made, interrupts):
    linux, _ = found(made)
    (one,), absent = units(linux)
    assert absent == []
    unit = one.unit
    assert (unit.register_base, unit.cap, unit.table, unit.entries, unit.in_use) == (
        REGISTERS,
        CAP,
        TABLE_AT,
        1 << 16,
        3,
    )
    assert (unit.queue, unit.eime, unit.origin) == (interrupts.queue - DIRECT, 0, ORIGIN)
    assert unit.platform == (Platform(IOAPIC, 5, UNIT_SID),)
    assert one.iommu == interrupts.iommu
    assert eim(linux) == 0


def test_a_list_that_breaks_off_is_told_and_what_is_before_is_there(made, interrupts):
    made.write(interrupts.drhd, struct.pack("<Q", 1 << 46))
    found_units, absent = units(found(made)[0])
    assert [each.unit.index for each in found_units] == [0]
    assert [each.subject for each in absent] == [LIST]


def test_a_unit_that_cannot_be_read_and_a_table_that_cannot(made, interrupts):
    second = made.put("dmar_drhd_unit", reg_base_addr=0x1000, iommu=1 << 46, list__next=made.symbols["dmar_drhd_units"])
    made.write(interrupts.drhd, struct.pack("<Q", second))
    made.write(interrupts.iommu + made.offset("intel_iommu", "ir_table"), struct.pack("<Q", 1 << 46))
    found_units, absent = units(found(made)[0])
    assert [each.unit.table for each in found_units] == [0]
    assert [each.member for each in absent] == ["raw", "units"]
