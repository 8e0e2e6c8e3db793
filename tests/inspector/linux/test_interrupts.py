"""Who uses which remapping entry, as Linux keeps it."""

from __future__ import annotations

import struct

from inspector.linux import interrupts as read
from inspector.linux.irq_chain import irqs
from inspector.model.interrupts import Irq, Msi, Pin
from tests.inspector.linux.conftest import found
from tests.inspector.linux.made_interrupts import MSIX, NIC, NIC_VECTOR, PIN_VECTOR


def walked(made, interrupts):
    linux, _ = found(made)
    absent = []
    every = irqs(linux, absent)
    entries = read.entries(linux, every, absent)
    units = {interrupts.iommu: 3}
    return linux, every, entries, units, absent


def test_pins_msis_and_irqs(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    linux, every, entries, units, absent = walked(made, interrupts)
    assert absent == []
    assert {irq: entry.index for irq, entry in entries.items()} == {4: 4, 30: 0x30}
    assert read.pins(linux, every, entries, units) == [Pin(0, 4, 4, 5, vector=PIN_VECTOR, irq=4, unit=3)]
    assert read.msis(linux, every, entries, units) == [
        Msi(30, 0x30, "MSI-X", NIC, 0, 0, vector=NIC_VECTOR, host_masked=False, unit=3)
    ]
    told = read.model_irqs(linux, every)
    assert told[0] == Irq(4, PIN_VECTOR, "IR-IO-APIC 4-edge", 0, (0, 1), (0,), action="ttyS0, shared")
    assert (told[1].type, told[1].status, told[1].action) == ("XT-PIC 0", 2, None)
    assert told[3].type == f"{MSIX} 2-edge"


def test_what_is_posted_to_a_guest_and_to_a_cpu(made, interrupts):
    interrupts.posted(40, 0x40, 0x1234540, own=False)
    interrupts.posted(41, 0x41, 0x1234580, own=True)
    interrupts.tree()
    linux, every, entries, units, _ = walked(made, interrupts)
    guest, own = read.msis(linux, every, entries, units)
    assert (guest.irq, guest.gvec, guest.pi_desc) == (40, 0x55, 0x1234540)
    assert (own.irq, own.gvec, own.pi_desc) == (41, 0, 0)


def test_an_entry_that_cannot_be_read_is_told(made, interrupts):
    interrupts.usual()
    interrupts.irq(50, {}, (MSIX, 0), ("INTEL-IR", 1 << 46))
    interrupts.tree()
    _, _, entries, _, absent = walked(made, interrupts)
    assert set(entries) == {4, 30}
    assert [(each.subject, each.address) for each in absent] == [("irq 50", 1 << 46)]


def test_a_device_whose_name_is_none_of_pcis_is_none(made, interrupts):
    interrupts.usual()
    interrupts.tree()
    made.write(interrupts.device + made.offset("device", "kobj.name"), struct.pack("<Q", made.text("INT3401:00")))
    linux, every, entries, units, _ = walked(made, interrupts)
    (msi,) = read.msis(linux, every, entries, units)
    assert msi.device is None


def test_a_pin_of_no_ioapic_is_left_out(made, interrupts):
    interrupts.usual()
    head = made.put("mp_chip_data", irq_2_pin__next=made.put("irq_pin_list", apic=4000, pin=1))
    interrupts.irq(5, {}, ("IR-IO-APIC", head), ("INTEL-IR", interrupts.remapping(5, bytes(16))))
    interrupts.tree()
    linux, every, entries, units, _ = walked(made, interrupts)
    assert [pin.irq for pin in read.pins(linux, every, entries, units)] == [4]
