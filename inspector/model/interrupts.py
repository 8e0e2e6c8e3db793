"""Interrupts as Xen and the IO-APICs keep them: MSIs, pins, redirection tables. Plain data."""

from __future__ import annotations

from structs.frozen import frozen

NO_INDEX = (1 << 32) - 1
"""The remapping index of an MSI whose index is not known."""


@frozen
class Msi:
    """One message-signalled interrupt: Xen's `irq_desc` and the `msi_desc` that it points to.

    `device` is seg << 16 | bus << 8 | devfn, None for a timer's (HPET) or where it is not known. `gvec` and `pi_desc`
    are set while Xen posts it to a guest; `pi_desc` is a physical address, all ones if Xen's pointer leads nowhere.
    `vector` is the host's, and `address` the lower half of the host's own message; None if that is not known.
    `host_masked`, `guest_masked`: who has it masked, as Xen remembers; `masked` is what the device itself says.
    `unit` is the index of the VT-d unit that it goes through, where the host keeps that. `to_vcpu`: whether a Linux has
    it as posted to a vCPU (`posted_vcpu`), of which it keeps no more; None if this build does not say so.
    """

    irq: int
    index: int
    kind: str
    device: int | None
    gvec: int
    pi_desc: int
    vector: int | None = None
    address: int | None = None
    host_masked: bool | None = None
    guest_masked: bool | None = None
    masked: bool | None = None
    unit: int | None = None
    to_vcpu: bool | None = None


@frozen
class Guest:
    """A domain that an irq is bound to.

    Attributes:
        pirq: the domain's number for the irq.
        pending, masked: of its event channel; None where that is not known.
        pirq_masked: whether Xen holds the irq back from it.
    """

    domain: int
    pirq: int
    pending: bool | None = None
    masked: bool | None = None
    pirq_masked: bool | None = None


@frozen
class Irq:
    """An irq as Xen keeps it (`irq_desc`); None is what is not known.

    Attributes:
        vector: on the CPUs `cpus`.
        type: of its controller: `IO-APIC-edge`, `PCI-MSI/-X`, `DMA_MSI`, ...
        status: `IRQ_INPROGRESS`, `IRQ_DISABLED`, ... a bit each.
        affinity: the CPUs that it may go to.
        in_flight: how many of its guests have not ended it.
        guests: the domains that it is bound to.
        action: Xen's own handler.
    """

    irq: int
    vector: int | None = None
    type: str | None = None
    status: int | None = None
    affinity: tuple[int, ...] | None = None
    cpus: tuple[int, ...] | None = None
    in_flight: int | None = None
    guests: tuple[Guest, ...] = ()
    action: str | None = None


@frozen
class Redirection:
    """A pin's redirection entry as Xen prints it, translated back through the remapping table; None is not known.

    Fields by mnemonic (`structs.ioapic`); `dest` is whole, whatever the APIC mode; `irq` is the pin's.
    """

    ioapic: int
    pin: int
    vector: int
    mask: int
    tm: int
    irr: int
    pol: int
    delivs: int
    dlm: int | None = None
    dm: int | None = None
    dest: int | None = None
    irq: int | None = None


@frozen
class Device:
    """A PCI device, seg << 16 | bus << 8 | devfn, its MSIs' irqs, and its domain; None if no domain has it: then
    `owner` says who (`d[IO]`, `DomIO:7ff8`)."""

    sbdf: int
    domain: int | None
    owner: str
    irqs: tuple[int, ...] = ()


@frozen
class Pin:
    """An IO-APIC's pin, both counted from 0 as Xen counts them, and the remapping index that Xen gave it.

    `id` is the IO-APIC's APIC id, by which the DMAR table names it, `vector` the one in the pin's redirection entry,
    `irq` the host's for it; None where they are not known. `rewritten` if a crash has overwritten its remapping entry.
    `unit` is the index of the VT-d unit that it goes through, where the host keeps that.
    """

    ioapic: int
    pin: int
    index: int
    id: int | None = None
    vector: int | None = None
    irq: int | None = None
    rewritten: bool = False
    unit: int | None = None


@frozen
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
