"""The firmware's tables: whole, with right sums, and found the way that Xen and the inspector find them."""

from __future__ import annotations

import pytest

from sim_backend.layout.firmware import (
    DMAR_ADDRESS,
    FIRST_SCOPED_DEVICE,
    RSDP_ADDRESS,
    RSDT_ADDRESS,
    ZAPPED,
    ioapic_sid,
)
from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.layout.page_tables import translate
from structs.acpi import RSDP, RSDT
from structs.dmar import DMAR


def table(layout, address):
    """A table's bytes, as long as its header says."""
    return layout.memory.read(address, layout.memory.u32(address + 4))


@pytest.mark.parametrize(("units", "ioapics"), [(1, 1), (2, 2), (3, 1)])
def test_every_table_sums_to_zero(units, ioapics):
    layout = Layout(LayoutConfig(units=units, ioapics=ioapics))
    assert sum(layout.memory.read(RSDP_ADDRESS, 20)) & 0xFF == 0
    for address in (RSDT_ADDRESS, DMAR_ADDRESS):
        assert sum(table(layout, address)) & 0xFF == 0


def test_the_root_pointer_leads_to_the_dmar_table():
    layout = Layout(LayoutConfig())
    root = RSDP.parse(layout.memory.read(RSDP_ADDRESS, 20))
    entries = RSDT.parse(table(layout, root.rsdt_address)).body.entries
    assert list(entries) == [DMAR_ADDRESS]
    assert table(layout, DMAR_ADDRESS)[:4] == ZAPPED


def test_xens_variable_leads_there_too():
    layout = Layout(LayoutConfig())
    table_at = layout.memory.u64(layout.symbol("dmar_table"))
    assert translate(layout.memory, layout.symbol("idle_pg_table"), table_at) == DMAR_ADDRESS


@pytest.mark.parametrize(("units", "ioapics"), [(1, 2), (2, 1), (4, 3)])
def test_each_unit_has_its_scope_and_the_last_has_all_the_rest(units, ioapics):
    layout = Layout(LayoutConfig(units=units, ioapics=ioapics))
    structures = [each.body for each in DMAR.parse(table(layout, DMAR_ADDRESS)).body.structures]
    assert [each.base for each in structures] == [unit.registers for unit in layout.units]
    assert [each.flags.include_pci_all for each in structures] == [0] * (units - 1) + [1]
    for number, each in enumerate(structures[:-1]):
        assert [(s.start_bus, s.path[0].device, s.path[0].function) for s in each.scopes] == [
            (0, FIRST_SCOPED_DEVICE + number, 0)
        ]
        assert layout.unit_of(FIRST_SCOPED_DEVICE + number << 3) == number
    sids = [s.start_bus << 8 | s.path[0].device << 3 | s.path[0].function for s in structures[-1].scopes]
    assert sids == [ioapic_sid(number) for number in range(ioapics)]
    assert len(set(sids)) == ioapics
