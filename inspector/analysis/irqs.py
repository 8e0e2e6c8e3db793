"""Every interrupt of a machine, joined: who raises it, which irq, entry, vector and CPUs, whose it is, what holds it.

What maintainers join by hand from Xen's debug keys `V`, `M`, `i`, `Q` and `z`, from any snapshot. A part that the
snapshot does not have is None, or is not there: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inspector.analysis.sources import InterruptSources, Source
from inspector.model.interrupts import Guest, Irq, Msi, Redirection
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import bdf
from structs.columns import columns, records, rows
from structs.ioapic import RTE
from structs.irte import POSTED, REMAPPED, dst_apic_id

Entry = dict[str, Any]

IN_PROGRESS, DISABLED, PENDING, GUEST, MOVE_PENDING, EOI_PENDING = 1 << 0, 1 << 1, 1 << 2, 1 << 4, 1 << 5, 1 << 7
"""`irq_desc.status` (xen/include/xen/irq.h), the same since 4.2."""

IOAPIC_TYPE = "IO-APIC"
OWN_TYPES = ("DMA_MSI", "IOMMU")
"""Of a VT-d unit's own fault interrupt, which is never remapped."""


@dataclass(frozen=True)
class PinState:
    """What is known of an IO-APIC's pin: where it is, and of its entry what Xen or a register tells."""

    ioapic: int
    pin: int
    vector: int | None = None
    mask: int | None = None
    irr: int | None = None
    tm: int | None = None
    irq: int | None = None


@dataclass(frozen=True)
class Interrupt:
    """One interrupt, end to end.

    Attributes:
        irq: Xen's number for it.
        source: what raises it, None if that is not known; `device` of it: seg << 16 | bus << 8 | devfn.
        unit, index, entry: the remapping entry that it goes through, with its fields by mnemonic.
        eime: whether the entry's destination is in x2APIC form.
        vector: the host's; of a posted one it is Xen's for the irq, and `guest_vector` the guest's.
        vcpu: the vCPU that it is posted to.
        state: the irq as Xen has it.
        msi, pin: what Xen knows of the source.
        owner: who has the device: `d1`, `d[IO]`.
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
        """Who takes it: a vCPU that it is posted to, the domains that it is bound to, Xen, or nobody."""
        if self.vcpu:
            return f"posted to {self.vcpu}"
        if self.posted:
            return "posted"
        if self.guests:
            return ", ".join(dict.fromkeys(f"d{guest.domain}" for guest in self.guests))
        if self.state is None:
            return "not known"
        if self.state.action:
            return f"Xen: {self.state.action}"
        if self.state.status is None:
            return "not known"
        if self.state.status & GUEST:
            return "a guest"
        return "nobody" if self.state.status & DISABLED and not self.type.startswith(OWN_TYPES) else "Xen"

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
                yield "Xen"
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


def interrupts(snapshot: Snapshot) -> list[Interrupt]:
    """Every interrupt that the snapshot tells of: those with an irq by its number, then entries that no irq is known
    of, in the tables' order."""
    joined = _Join(snapshot)
    return [*joined.by_irq(), *joined.others()]


class _Join:
    """A snapshot's parts, by what they have in common."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sources = InterruptSources(snapshot)
        self.states = {irq.irq: irq for irq in snapshot.irqs}
        self.pins = {(pin.ioapic, pin.pin): pin for pin in pin_states(snapshot)}
        self.indices = {(pin.ioapic, pin.pin): pin.index for pin in snapshot.pins}
        self.owners = owners(snapshot)
        self.devices = {irq: device.sbdf for device in snapshot.devices for irq in device.irqs}
        self.taken: set[tuple[int, int]] = set()
        self.entries = [
            (unit, entry, self.sources.of(unit, entry)) for unit in snapshot.units for entry in entries(unit)
        ]
        self.by_msi: dict[int, tuple[VtdUnit, Entry, Source]] = {}
        self.by_pin: dict[tuple[int, int], tuple[VtdUnit, Entry, Source]] = {}
        for unit, entry, source in self.entries:
            if source.irq is not None:
                self.by_msi.setdefault(source.irq, (unit, entry, source))
            if source.ioapic is not None and source.pin is not None:
                self.by_pin.setdefault((source.ioapic, source.pin), (unit, entry, source))
        self.irq_pins = self._irq_pins()
        self.by_vector = self._by_vector()

    def by_irq(self) -> Iterator[Interrupt]:
        """Those that have an irq."""
        msis = {msi.irq: msi for msi in self.snapshot.msis}
        for number in sorted({*self.states, *msis, *self.devices, *self.irq_pins}):
            state, msi, place = self.states.get(number), msis.get(number), self.irq_pins.get(number)
            found = self.by_msi.get(number) or (self.by_pin.get(place) if place else self.by_vector.get(number))
            pin = self.pins.get(place) if place else None
            if place and pin is None:
                pin = PinState(*place)
            device = msi.device if msi and msi.device is not None else self.devices.get(number)
            if device is None and found and found[2].bdf is not None:
                device = (found[2].segment or 0) << 16 | _sid(found[2].bdf)
            yield self._made(number, state, msi, pin, device, found)

    def others(self) -> Iterator[Interrupt]:
        """Entries, and pins without one, that no irq is known of."""
        for unit, entry, source in self.entries:
            if (id(unit), entry["index"]) not in self.taken:
                place = (source.ioapic, source.pin)
                pin = self.pins.get(place) if None not in place else None  # type: ignore[arg-type]
                device = None
                if source.bdf is not None:
                    device = (source.segment or 0) << 16 | _sid(source.bdf)
                yield self._made(None, None, None, pin, device, (unit, entry, source))

    def _made(
        self,
        number: int | None,
        state: Irq | None,
        msi: Msi | None,
        pin: PinState | None,
        device: int | None,
        found: tuple[VtdUnit, Entry, Source] | None,
    ) -> Interrupt:
        unit, entry, source = found or (None, None, None)
        if unit and entry:
            self.taken.add((id(unit), entry["index"]))
        vector = state.vector if state and state.vector is not None else msi.vector if msi else None
        if vector is None and entry and not entry["im"]:
            vector = entry["vector"]
        if vector is None and pin:
            vector = pin.vector
        vcpu = self.snapshot.by_descriptor.get(entry["pda"]) if entry and entry["im"] else None
        return Interrupt(
            irq=number,
            source=source or _source(msi, pin, device),
            device=device,
            unit=unit.index if unit else None,
            index=entry["index"] if entry else None,
            entry=entry,
            eime=bool(unit and unit.eime),
            vector=vector,
            vcpu=vcpu.name if vcpu else None,
            state=state,
            msi=msi,
            pin=pin,
            owner=self.owners.get(device) if device is not None else None,
        )

    def _irq_pins(self) -> dict[int, tuple[int, int]]:
        """The pin of each IO-APIC irq: as it is told, or else the only one with its vector."""
        found = {pin.irq: place for place, pin in self.pins.items() if pin.irq is not None}
        told = set(found.values())
        by_vector: dict[int, list[tuple[int, int]]] = {}
        for place in {*self.pins, *self.indices} - told:
            if vector := self._pin_vector(place):
                by_vector.setdefault(vector, []).append(place)
        irqs: dict[int, list[int]] = {}
        msis = {msi.irq for msi in self.snapshot.msis}
        for irq in self.states.values():
            type = irq.type if irq.type is not None else "" if irq.irq in msis else IOAPIC_TYPE
            if irq.irq not in found and irq.vector and type.startswith(IOAPIC_TYPE):
                irqs.setdefault(irq.vector, []).append(irq.irq)
        for vector, numbers in irqs.items():
            places = by_vector.get(vector, [])
            if len(numbers) == len(places) == 1:
                found[numbers[0]] = places[0]
        return found

    def _by_vector(self) -> dict[int, tuple[VtdUnit, Entry, Source]]:
        """The entry of each MSI's irq that no record leads to: the only remapped one with its vector, if it is the only
        irq with it."""
        places: dict[int, list[tuple[VtdUnit, Entry, Source]]] = {}
        for unit, entry, source in self.entries:
            if not entry["im"] and source.kind in ("device", "any"):
                places.setdefault(entry["vector"], []).append((unit, entry, source))
        numbers: dict[int, list[int]] = {}
        for irq in self.states.values():
            if irq.vector and irq.irq not in self.irq_pins and irq.irq not in self.by_msi:
                numbers.setdefault(irq.vector, []).append(irq.irq)
        return {
            irqs[0]: places[vector][0]
            for vector, irqs in numbers.items()
            if len(irqs) == len(places.get(vector, ())) == 1 and self._is_msi(irqs[0])
        }

    def _is_msi(self, number: int) -> bool:
        return "MSI" in (self.states[number].type or "") and not (self.states[number].type or "").startswith(OWN_TYPES)

    def _pin_vector(self, place: tuple[int, int]) -> int | None:
        pin = self.pins.get(place)
        if pin and pin.vector is not None:
            return pin.vector
        entry = self.by_pin.get(place)
        return entry[1]["vector"] if entry and not entry[1]["im"] else None


def pin_states(snapshot: Snapshot) -> list[PinState]:
    """The IO-APICs' pins as far as they are known: from registers, else as Xen prints them, with their irqs."""
    told: dict[tuple[int, int], Redirection] = {(pin.ioapic, pin.pin): pin for pin in snapshot.redirections}
    found = {place: _told(pin) for place, pin in told.items()}
    for ioapic in snapshot.ioapics:
        for number, value in enumerate(ioapic.redirection):
            if value is not None:
                entry = RTE.parse(value.to_bytes(RTE.size, "little"))
                irq = told[ioapic.number, number].irq if (ioapic.number, number) in told else None
                found[ioapic.number, number] = PinState(
                    ioapic.number, number, entry["vector"], entry["mask"], entry["irr"], entry["tm"], irq
                )
    return [found[place] for place in sorted(found)]


def owners(snapshot: Snapshot) -> Mapping[int, str]:
    """Who has each PCI device, by seg << 16 | bus << 8 | devfn."""
    found = {device: f"d{domain.domain}" for domain in snapshot.domains for device in domain.devices}
    return found | {device.sbdf: device.owner for device in snapshot.devices}


def entries(unit: VtdUnit) -> list[Entry]:
    """The present entries of a unit's table by mnemonic, each with its `index`, in order."""
    raw = records(REMAPPED, unit.raw)
    modes = columns(REMAPPED, raw, ["im"])["im"]
    indices = np.array(unit.indices, int)
    found: dict[int, Entry] = {}
    for record in (REMAPPED, POSTED):
        here = modes == (record is POSTED)
        for index, row in zip(indices[here].tolist(), rows(columns(record, raw[here])), strict=True):
            found[index] = {"index": index, **row}
    return [found[index] for index in sorted(found)]


def destination_cpus(snapshot: Snapshot, interrupt: Interrupt) -> tuple[int, ...] | None:
    """The CPUs that its remapped entry sends to, by their APIC ids; None if that is not known."""
    entry = interrupt.entry
    if entry is None or entry["im"] or not snapshot.cpus:
        return None
    apic = dst_apic_id(entry["dst"], interrupt.eime)
    return tuple(
        cpu.cpu for cpu in snapshot.cpus if _is_destination(apic, entry["dm"], cpu.apic_id, cpu.cpu, interrupt.eime)
    )


def _is_destination(dst: int, logical: int, apic: int, cpu: int, x2apic: bool) -> bool:
    if not logical:
        return apic == dst
    if x2apic:
        return dst >> 16 == apic >> 4 and bool(dst >> (apic & 0xF) & 1)
    # Flat model: Xen's LDR of a CPU is the bit of its number.
    return cpu < 8 and bool(dst >> cpu & 1)


def _told(pin: Redirection) -> PinState:
    return PinState(pin.ioapic, pin.pin, pin.vector, pin.mask, pin.irr, pin.tm, pin.irq)


def _source(msi: Msi | None, pin: PinState | None, device: int | None) -> Source | None:
    if pin:
        return Source("ioapic", ioapic=pin.ioapic, pin=pin.pin)
    if msi and msi.device is None and device is None and "HPET" in msi.kind:
        return Source("hpet", type=msi.kind, irq=msi.irq)
    if device is None:
        return None
    if msi is None:
        return Source("device", segment=device >> 16, bdf=bdf(device & 0xFFFF))
    return Source("msi", type=msi.kind, irq=msi.irq, segment=device >> 16, bdf=bdf(device & 0xFFFF))


def _sid(text: str) -> int:
    bus, _, rest = text.rpartition(":")
    device, _, function = rest.partition(".")
    return int(bus, 16) << 8 | int(device, 16) << 3 | int(function)
