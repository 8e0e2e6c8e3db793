"""VT-d units as Linux keeps them."""

from __future__ import annotations

from inspector.capture.inspection import Inspection
from sim_backend.layout.kvm.layout import DomainConfig, KvmLayout, LayoutConfig
from tests.inspector.linux.laid import Laid


def test_linuxs_list_registers_and_acpi_agree():
    config = LayoutConfig(profile="6.12", units=2, x2apic=True, domains=(DomainConfig(5, 1),))
    layout = KvmLayout(config)
    snapshot = Inspection(Laid(layout)).snapshot
    assert [unit.register_base for unit in snapshot.units] == [unit.registers for unit in layout.units]
    assert [(unit.base, unit.eime, unit.origin) for unit in snapshot.units] == [
        (unit.table, 1, "IRTA") for unit in layout.units
    ]
    assert snapshot.dmar is not None
    assert snapshot.intpost


def test_without_posting():
    layout = KvmLayout(LayoutConfig(profile="6.12", intpost=False, domains=(DomainConfig(5, 1),)))
    assert Inspection(Laid(layout)).snapshot.intpost is False
