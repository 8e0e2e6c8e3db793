"""Interrupts as Xen and the IO-APICs keep them: MSIs, pins, redirection tables. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Msi:
    """One message-signalled interrupt: Xen's `irq_desc` and the `msi_desc` that it points to.

    `device` is seg << 16 | bus << 8 | devfn, None for a timer's (HPET) or where it is not known. `gvec` and `pi_desc`
    are set while Xen posts it to a guest; `pi_desc` is a physical address, all ones if Xen's pointer leads nowhere.
    `vector` is the host's, and `address` the lower half of the host's own message; None if that is not known.
    """

    irq: int
    index: int
    kind: str
    device: int | None
    gvec: int
    pi_desc: int
    vector: int | None = None
    address: int | None = None


@dataclass(frozen=True)
class Pin:
    """An IO-APIC's pin, both counted from 0 as Xen counts them, and the remapping index that Xen gave it.

    `id` is the IO-APIC's APIC id, by which the DMAR table names it, and `vector` the one in the pin's redirection
    entry; None where they are not known.
    """

    ioapic: int
    pin: int
    index: int
    id: int | None = None
    vector: int | None = None


@dataclass(frozen=True)
class IoApic:
    """An IO-APIC.

    Attributes:
        number: as Xen counts them (`mp_ioapics[]`), or the target's order.
        id: its APIC id, by which the ACPI DMAR table names it; None if not known.
        version: of its registers; None if not known.
        redirection: the 64-bit entries by pin, None for one that is not known; empty if no register was read.
    """

    number: int
    id: int | None = None
    version: int | None = None
    redirection: tuple[int | None, ...] = ()
