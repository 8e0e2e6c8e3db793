"""What one interrupt says of itself: who takes it, what holds it back, what waits."""

from __future__ import annotations

from inspector.analysis.interrupt import DISABLED, EOI_PENDING, GUEST, IN_PROGRESS, Interrupt, PinState
from inspector.model.interrupts import Guest, Irq, Msi


def test_a_units_own_interrupt_is_xens() -> None:
    assert Interrupt(24, state=Irq(24, 0x30, "DMA_MSI", 0)).taker == "Xen"


def test_who_takes_it() -> None:
    assert Interrupt(25).taker == "not known"
    assert Interrupt(25, vcpu="d1v2").taker == "posted to d1v2"
    assert Interrupt(25, state=Irq(25, status=GUEST)).taker == "a guest"
    assert Interrupt(25, state=Irq(25, status=GUEST, guests=(Guest(1, 87), Guest(2, 55)))).taker == "d1, d2"
    assert Interrupt(0, state=Irq(0, action="timer_interrupt()")).taker == "Xen: timer_interrupt()"
    assert Interrupt(7, state=Irq(7, status=DISABLED)).taker == "nobody"


def test_what_holds_it_and_what_waits() -> None:
    msi = Msi(25, 0x18, "MSI", 0x300, 0, 0, masked=True, host_masked=True, guest_masked=True)
    state = Irq(25, status=DISABLED | IN_PROGRESS | EOI_PENDING)
    held = Interrupt(25, state=state, msi=msi, pin=PinState(0, 9, mask=1, irr=1))
    assert held.masks == ("pin", "device", "Xen", "guest", "irq disabled")
    assert held.pending == ("IRR", "in progress", "EOI pending")
    assert (held.fires, held.type) == (False, "MSI")
    assert Interrupt(25, msi=Msi(25, 0x18, "MSI", 0x300, 0, 0)).fires


def test_the_guests_vector_is_a_posted_entrys() -> None:
    assert Interrupt(25, entry={"im": 1, "vector": 0x31}, vector=0x62).guest_vector == 0x31
    assert Interrupt(25, entry={"im": 0, "vector": 0x62}, vector=0x62).guest_vector is None
