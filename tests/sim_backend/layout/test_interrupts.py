"""What the remapping table holds of the IO-APICs and the devices."""

from __future__ import annotations

from sim_backend.layout.layout import DeviceConfig, Layout, LayoutConfig
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


def test_x2apic_destinations_take_all_32_bits():
    layout = Layout(LayoutConfig(cpus=1, apic_ids=(0x1234,), x2apic=True, devices=(DeviceConfig(NIC),)))
    entry = IRTE.parse(layout.memory.read(layout.irte(0, 24), 16))
    irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(0, "IRTA"), 8))
    assert (entry["dst"], irta["eime"]) == (0x1234, 1)
