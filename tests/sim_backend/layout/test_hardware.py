"""Registers, tables and devices are found alike, whoever runs on the machine."""

from __future__ import annotations

import pytest

from sim_backend.layout.config import DEFAULT_PROFILE, DeviceConfig, LayoutConfig
from sim_backend.layout.firmware import FIRST_SCOPED_DEVICE
from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.layout.layout import Layout
from sim_backend.memory.errors import SimError
from structs.irte import IRTE
from structs.registers import BY_NAME

NIC = 0x0018


@pytest.fixture(params=[(Layout, DEFAULT_PROFILE), (KvmLayout, "6.12")], ids=["Xen", "KVM"])
def layout(request):
    kind, profile = request.param
    return kind(LayoutConfig(profile, cpus=2, units=2, devices=(DeviceConfig(NIC, 2),)))


def test_a_units_table_is_where_its_register_says(layout):
    for unit in range(2):
        irta = BY_NAME["IRTA"].record.parse(layout.memory.read(layout.register(unit, "IRTA"), 8))
        assert irta["irta"] == layout.irte(unit, 0)
    assert layout.irte(1, 3) - layout.irte(1, 0) == 48


def test_a_device_has_entries_of_the_unit_that_serves_it(layout):
    assert layout.unit_of(NIC) == 1
    assert layout.unit_of(FIRST_SCOPED_DEVICE << 3) == 0
    for msi in layout.device(NIC).msis:
        assert msi.unit == 1
        entry = IRTE.parse(layout.memory.read(layout.irte(msi.unit, msi.index), 16))
        assert (entry["p"], entry["sid"]) == (1, NIC)
    with pytest.raises(SimError, match=r"there is no device 00:04\.0"):
        layout.device(0x20)


def test_no_two_share_a_place(layout):
    places = [layout.lapic(0), layout.lapic(1), layout.rte(0, 0), layout.rte(0, 1), layout.register(0, "CAP")]
    assert len(set(places)) == len(places)
