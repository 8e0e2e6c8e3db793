"""What the remapping table holds of the IO-APICs and the devices."""

from __future__ import annotations

import pytest

from sim_backend.layout.interrupts import Interrupts, take_entries
from sim_backend.layout.layout import DeviceConfig, Layout, LayoutConfig
from sim_backend.memory.errors import SimError
from structs.irte import IRTE
from structs.registers import BY_NAME, table_entries

from .builds import DISK, NIC


def test_the_table_holds_the_pins_then_the_devices(layout):
    irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(0, "IRTA"), 8))
    assert irta["irta"] == layout.irte(0, 0)
    assert table_entries(irta) == 1 << 16
    entries = [IRTE.parse(layout.memory.read(layout.irte(0, number), 16)) for number in range(29)]
    assert [entry["sid"] for entry in entries] == [0xFF00] * 24 + [NIC] * 3 + [DISK, 0]
    assert [entry["p"] for entry in entries] == [1] * 28 + [0]
    assert layout.get("vtd_iommu", layout.units[0].iommu, "intremap.num") == 28


def test_free_entries_are_found_wherever_they_are():
    layout = Layout(LayoutConfig())
    table, unit = layout.irte(0, 0), layout.units[0]
    gaps = [24, 511, 512, 700, 1023, 65_535]
    used = bytearray(b"\1".ljust(16, b"\0") * 65_536)
    for gap in gaps:
        used[gap * 16 : gap * 16 + 16] = bytes(16)
    layout.memory.write(table, bytes(used))
    with pytest.raises(SimError, match="has no 7 free ones"):
        take_entries(layout, Interrupts(1), unit, 0, 7)
    interrupts = Interrupts(1)
    assert take_entries(layout, interrupts, unit, 0, 3) == gaps[:3]
    assert take_entries(layout, interrupts, unit, 0, 3) == gaps[3:]
    with pytest.raises(SimError, match="has no 1 free ones"):
        take_entries(layout, interrupts, unit, 0, 1)


def test_x2apic_destinations_take_all_32_bits():
    layout = Layout(LayoutConfig(cpus=1, apic_ids=(0x1234,), x2apic=True, devices=(DeviceConfig(NIC),)))
    entry = IRTE.parse(layout.memory.read(layout.irte(0, 24), 16))
    irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(0, "IRTA"), 8))
    assert (entry["dst"], irta["eime"]) == (0x1234, 1)
