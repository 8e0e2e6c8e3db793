"""Who uses which remapping index, as Xen keeps it."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from inspector.xen.interrupts import NONE, ioapic_ids, ioapic_pins, irqs_of_pins, msis


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


def pin_lists(*entries: tuple[int, int, int], gsis: int = 4) -> Any:
    """A Xen whose `irq_2_pin` holds these (apic, pin, next)."""
    raw = b"".join(struct.pack("<iiI", *entry) for entry in entries).ljust(2 * gsis * 12, b"\xff")
    return SimpleNamespace(
        variable=lambda name, size: gsis,
        profile=SimpleNamespace(has_symbol=lambda name: True, symbol=lambda name: 0x1000),
        array_at=lambda address, size, count: [0x2000],
        memory=SimpleNamespace(read=lambda address, size: raw[:size]),
    )


def test_the_irq_of_each_pin_as_xen_keeps_it() -> None:
    """The timer's irq 0 is at pin 2; an irq may have several pins, which follow behind the first `nr_irqs_gsi`."""
    xen = pin_lists((0, 2, 0), (0, 1, 4), (-1, -1, 0), (1, 3, 0), (1, 7, 5), (0, 9, 0))
    assert irqs_of_pins(xen) == {(0, 2): 0, (0, 1): 1, (1, 7): 1, (0, 9): 1, (1, 3): 3}


@pytest.mark.parametrize("following", [0, 4, 7, 8, 0xFFFFFFFF])
def test_a_list_of_pins_that_leads_anywhere_ends(following: int) -> None:
    xen = pin_lists(*[(0, at, following) for at in range(8)])
    assert irqs_of_pins(xen).keys() >= {(0, 0)}
