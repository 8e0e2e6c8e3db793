"""One interrupt, end to end: who raises it, its irq, entry, vector and CPUs, whose it is, and what holds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from inspector.analysis.sources import Source
from inspector.model.interrupts import Guest, Irq, Msi
from structs.frozen import frozen

Entry = dict[str, Any]

IN_PROGRESS, DISABLED, PENDING, GUEST, MOVE_PENDING, EOI_PENDING = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5, 1 << 7
"""`irq_desc.status` (xen/include/xen/irq.h), the same since 4.2."""

IOAPIC_TYPE = "IO-APIC"
OWN_TYPES = ("DMA_MSI", "IOMMU", "DMAR-MSI")
"""Of a VT-d unit's own fault interrupt, which is never remapped."""


@frozen
class PinState:
    """What is known of an IO-APIC's pin: where it is, and of its entry what Xen or a register tells."""

    ioapic: int
    pin: int
    vector: int | None = None
    mask: int | None = None
    irr: int | None = None
    tm: int | None = None
    irq: int | None = None


@frozen
class Interrupt:
    """One interrupt, end to end.

    Attributes:
        irq: the host's number for it.
        source: what raises it, None if that is not known; `device` of it: seg << 16 | bus << 8 | devfn.
        unit, index, entry: the remapping entry that it goes through, with its fields by mnemonic.
        eime: whether the entry's destination is in x2APIC form.
        vector: the host's; of a posted one it is Xen's for the irq, and `guest_vector` the guest's.
        vcpu: the vCPU that it is posted to.
        state: the irq as the host has it.
        msi, pin: what the host knows of the source.
        owner: who has the device: `d1`, `d[IO]`.
        host: what owns the machine's interrupts: `Xen`, `Linux`.
        own_cpu: the CPU to whose own descriptor it is posted (Linux's posted MSI).
        actions: who handles it in domain 0's Linux, above a Xen.
        irqfd: of which VM of KVM's it is, and its number there: `vm1234 GSI 25`.
    """

    irq: int | None
    source: Source | None = None
    device: int | None = None
    unit: int | None = None
    index: int | None = None
    entry: Entry | None = field(default=None, compare=False)
    eime: bool = False
    vector: int | None = None
    vcpu: str | None = None
    state: Irq | None = None
    msi: Msi | None = None
    pin: PinState | None = None
    owner: str | None = None
    host: str = "Xen"
    own_cpu: int | None = None
    actions: str = ""
    irqfd: str = ""

    @property
    def posted(self) -> bool:
        """Whether its entry is in posted format."""
        return bool(self.entry and self.entry["im"])

    @property
    def guest_vector(self) -> int | None:
        """The vector that the guest gets, of a posted one."""
        return self.entry["vector"] if self.entry and self.posted else None

    @property
    def guests(self) -> tuple[Guest, ...]:
        """The domains that it is bound to."""
        return self.state.guests if self.state else ()

    @property
    def in_flight(self) -> int | None:
        """How many of its guests have not ended it."""
        return self.state.in_flight if self.state else None

    @property
    def cpus(self) -> tuple[int, ...] | None:
        """The CPUs that its vector is set up on."""
        return self.state.cpus if self.state else None

    @property
    def type(self) -> str:
        """What kind of interrupt it is: an IO-APIC's, an MSI, a unit's own."""
        if self.state and self.state.type:
            return self.state.type
        if self.msi:
            return self.msi.kind
        return IOAPIC_TYPE if self.pin else ""

    @property
    def taker(self) -> str:
        """Who takes it: a vCPU that it is posted to, the domains that it is bound to, the host, or nobody."""
        if self.vcpu:
            return f"posted to {self.vcpu}" + (f", {self.irqfd}" if self.irqfd else "")
        if self.own_cpu is not None:
            action = self.state.action if self.state else None
            return f"posted to CPU {self.own_cpu}, {self.host}: {action or 'nobody'}"
        if self.posted:
            return "posted"
        if self.guests:
            names = dict.fromkeys(f"d{guest.domain}" for guest in self.guests)
            return ", ".join(f"{name}: {self.actions}" if name == "d0" and self.actions else name for name in names)
        if self.state is None:
            return "not known"
        if self.state.action:
            return f"{self.host}: {self.state.action}" + (f", for {self.irqfd}" if self.irqfd else "")
        if self.state.status is None:
            return "not known"
        if self.state.status & GUEST:
            return "a guest"
        return "nobody" if self.state.status & DISABLED and not self.type.startswith(OWN_TYPES) else self.host

    @property
    def action_names(self) -> list[str]:
        """Who handles it, by the names in Linux's /proc/interrupts: the machine's own Linux, or domain 0's."""
        names = self.actions or ((self.state.action or "") if self.state and self.host == "Linux" else "")
        return names.split(", ") if names else []

    @property
    def masks(self) -> tuple[str, ...]:
        """What holds it back, from the device to the guest."""
        return tuple(self._masks())

    def _masks(self) -> Iterator[str]:
        if self.pin and self.pin.mask:
            yield "pin"
        if self.msi:
            if self.msi.masked:
                yield "device"
            if self.msi.host_masked:
                yield self.host
            if self.msi.guest_masked:
                yield "guest"
        if self.state and self.state.status is not None and self.state.status & DISABLED:
            yield "irq disabled"
        for guest in self.guests:
            if guest.pirq_masked:
                yield f"d{guest.domain} pirq {guest.pirq}"
            if guest.masked:
                yield f"d{guest.domain} event channel"

    @property
    def pending(self) -> tuple[str, ...]:
        """What waits: a level interrupt that was not ended, the irq, a guest's event."""
        return tuple(self._pending())

    def _pending(self) -> Iterator[str]:
        if self.in_flight:
            yield f"{self.in_flight} in flight"
        if self.pin and self.pin.irr:
            yield "IRR"
        if self.state and self.state.status is not None:
            for bit, word in ((IN_PROGRESS, "in progress"), (PENDING, "pending"), (EOI_PENDING, "EOI pending")):
                if self.state.status & bit:
                    yield word
        for guest in self.guests:
            if guest.pending:
                yield f"d{guest.domain} event"

    @property
    def fires(self) -> bool:
        """Whether something may raise it: its source is not known to be masked."""
        return not (self.pin and self.pin.mask) and not (self.msi and (self.msi.masked or self.msi.host_masked))
