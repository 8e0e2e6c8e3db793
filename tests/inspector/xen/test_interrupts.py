"""Who uses which remapping index, as Xen keeps it."""

from __future__ import annotations

from inspector.xen.interrupts import NONE, ioapic_ids, ioapic_pins, msis


def test_each_message_of_a_device(layout, look):
    found = msis(look())
    assert [msi.device for msi in found] == [0x18, 0x18]
    assert {msi.index for msi in found} == {msi.index for msi in layout.device(0x18).msis}


def test_a_pin_without_an_index_is_left_out(layout, look):
    before = ioapic_pins(look())
    first = layout.memory.u64(layout.physical(layout.memory.u64(layout.symbol("apic_pin_2_ir_idx"))))
    layout.memory.set_u32(layout.physical(first), NONE)
    after = ioapic_pins(look())
    assert [pin for pin in before if pin not in after] == [before[0]]


def test_an_entry_that_is_no_ioapics_has_no_id(layout, look):
    layout.memory.write(layout.symbol("mp_ioapics"), b"\x07\x09")
    assert ioapic_ids(look(), 1) == [None]
