"""Every interrupt of a machine, joined: who raises it, which irq, entry, vector and CPUs, whose it is, what holds it.

What maintainers join by hand from Xen's debug keys `V`, `M`, `i`, `Q` and `z`, from any snapshot. A part that the
snapshot does not have is None, or is not there: nothing is guessed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from inspector.analysis.interrupt import IOAPIC_TYPE, OWN_TYPES, Entry, Interrupt, PinState
from inspector.analysis.sources import InterruptSources, Source
from inspector.model.interrupts import Irq, Msi, Redirection
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import bdf
from structs.arrays import np
from structs.columns import Array, columns, records, rows
from structs.ioapic import RTE
from structs.irte import IRTE, POSTED, REMAPPED, dst_apic_id


def interrupts(snapshot: Snapshot) -> list[Interrupt]:
    """Every interrupt that the snapshot tells of: those with an irq by its number, then entries that no irq is known
    of, in the tables' order."""
    joined = _Join(snapshot)
    return [*joined.by_irq(), *joined.others()]


def interrupts_of_sources(snapshot: Snapshot) -> list[Interrupt]:
    """Those of `interrupts` of which more is known than their entry: an irq, an MSI or a pin; for a full table, few."""
    joined = _Join(snapshot)
    return [*joined.by_irq(), *joined.of_pins()]


class _Table:
    """The present entries of a unit: columns of all of them, rows of those that are asked for."""

    def __init__(self, unit: VtdUnit) -> None:
        self.unit = unit
        self.raw = records(REMAPPED, unit.raw)
        self.indices = np.array(unit.indices, int)
        self.columns = columns(REMAPPED, self.raw, ["im", "vector", "svt", "sid"])

    def rows(self, places: Array) -> list[Entry]:
        """The entries at these places by mnemonic, each with its `index`."""
        raw, posted = self.raw[places], self.columns["im"][places] == 1
        decoded: dict[int, Entry] = {}
        for record, here in ((REMAPPED, ~posted), (POSTED, posted)):
            made = rows(columns(record, raw[here]))
            decoded |= zip(places[here].tolist(), made, strict=True)
        indices = self.indices[places].tolist()
        return [{"index": index, **decoded[at]} for at, index in zip(places.tolist(), indices, strict=True)]


Found = tuple[VtdUnit, Entry, Source]
"""An entry, its unit, and who uses it."""


class _Join:
    """A snapshot's parts, by what they have in common."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sources = InterruptSources(snapshot)
        self.states = {irq.irq: irq for irq in snapshot.irqs}
        self.pins = {(pin.ioapic, pin.pin): pin for pin in pin_states(snapshot)}
        self.indices = {(pin.ioapic, pin.pin): pin.index for pin in snapshot.pins}
        self.rewritten = {(pin.ioapic, pin.pin) for pin in snapshot.pins if pin.rewritten}
        self.owners = owners(snapshot)
        self.host = snapshot.host
        self.irqfds = {
            irqfd.irq: f"{domain.name} GSI {irqfd.gsi}"
            for domain in snapshot.domains
            for irqfd in domain.irqfds or ()
            if irqfd.irq is not None
        }
        self.own_cpus = {cpu.posted_msi.address: cpu.cpu for cpu in snapshot.cpus if cpu.posted_msi}
        self.actions = _actions(snapshot)
        self.devices = {irq: device.sbdf for device in snapshot.devices for irq in device.irqs}
        self.tables = [_Table(unit) for unit in snapshot.units]
        self.taken: set[tuple[int, int]] = set()
        self.named = [self._named(table) for table in self.tables]
        self.by_msi: dict[int, Found] = {}
        self.by_pin: dict[tuple[int, int], Found] = {}
        for named in self.named:
            for found in named.values():
                source = found[2]
                if source.irq is not None:
                    self.by_msi.setdefault(source.irq, found)
                if source.ioapic is not None and source.pin is not None:
                    self.by_pin.setdefault((source.ioapic, source.pin), found)
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
            if device is None and found:
                device = _device(found[2])
            yield self._made(number, state, msi, pin, device, found)

    def others(self) -> Iterator[Interrupt]:
        """Entries, and pins without one, that no irq is known of; after `by_irq`."""
        alike: dict[tuple[int, int], Source] = {}
        for table, named in zip(self.tables, self.named, strict=True):
            alike.clear()
            for at, entry in enumerate(table.rows(np.arange(len(table.raw)))):
                if (id(table.unit), entry["index"]) in self.taken:
                    continue
                if at in named:
                    yield self._without_irq(named[at])
                    continue
                key = entry["svt"], entry["sid"]
                if key not in alike:
                    alike[key] = self.sources.of(table.unit, entry)
                yield self._without_irq((table.unit, entry, alike[key]))

    def of_pins(self) -> Iterator[Interrupt]:
        """Those of `others` whose pin is known."""
        for named in self.named:
            for found in named.values():
                unit, entry, source = found
                if source.pin is not None and (id(unit), entry["index"]) not in self.taken:
                    yield self._without_irq(found)

    def _named(self, table: _Table) -> dict[int, Found]:
        """By place: the entries with an index that an MSI or a pin has; no others' source is told by the index."""
        indices = {msi.index for msi in self.snapshot.msis} | set(self.indices.values())
        places = np.flatnonzero(np.isin(table.indices, list(indices)))
        entries = zip(places.tolist(), table.rows(places), strict=True)
        return {at: (table.unit, entry, self.sources.of(table.unit, entry)) for at, entry in entries}

    def _without_irq(self, found: Found) -> Interrupt:
        source = found[2]
        place = None if source.ioapic is None or source.pin is None else (source.ioapic, source.pin)
        return self._made(None, None, None, self.pins.get(place) if place else None, _device(source), found)

    def _made(
        self,
        number: int | None,
        state: Irq | None,
        msi: Msi | None,
        pin: PinState | None,
        device: int | None,
        found: Found | None,
    ) -> Interrupt:
        unit, entry, source = found or (None, None, None)
        if unit and entry:
            self.taken.add((id(unit), entry["index"]))
        vector = state.vector if state and state.vector is not None else msi.vector if msi else None
        if vector is None and entry and not entry["im"] and not self._is_rewritten(source):
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
            host=self.host,
            own_cpu=self.own_cpus.get(entry["pda"]) if entry and entry["im"] else None,
            actions=self._actions_of(state),
            irqfd=self.irqfds.get(number, "") if number is not None else "",
        )

    def _actions_of(self, state: Irq | None) -> str:
        """Who handles it in domain 0, where that is known."""
        pirqs = [guest.pirq for guest in state.guests if not guest.domain] if state and self.actions else []
        return next((self.actions[pirq] for pirq in pirqs if pirq in self.actions), "")

    def _irq_pins(self) -> dict[int, tuple[int, int]]:
        """The pin of each IO-APIC irq: as it is told, or else the only one with its vector."""
        found = {pin.irq: (pin.ioapic, pin.pin) for pin in reversed(self.snapshot.pins) if pin.irq is not None}
        found |= {pin.irq: place for place, pin in self.pins.items() if pin.irq is not None}
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

    def _by_vector(self) -> dict[int, Found]:
        """The entry of each MSI's irq that no record leads to: the only remapped one with its vector, if it is the only
        irq with it."""
        numbers: dict[int, list[int]] = {}
        for irq in self.states.values():
            if irq.vector and irq.irq not in self.irq_pins and irq.irq not in self.by_msi:
                numbers.setdefault(irq.vector, []).append(irq.irq)
        wanted = {vector: irqs[0] for vector, irqs in numbers.items() if len(irqs) == 1 and self._is_msi(irqs[0])}
        open_ones = [
            (table, self._of_devices(table, named)) for table, named in zip(self.tables, self.named, strict=True)
        ]
        found: dict[int, Found] = {}
        for vector, number in wanted.items():
            places = [(table, np.flatnonzero(free & (table.columns["vector"] == vector))) for table, free in open_ones]
            if sum(len(at) for _, at in places) == 1:
                table, at = next((table, at) for table, at in places if len(at))
                (entry,) = table.rows(at)
                found[number] = table.unit, entry, self.sources.of(table.unit, entry)
        return found

    def _of_devices(self, table: _Table, named: Mapping[int, Found]) -> Array:
        """Which entries are remapped ones of devices that no record names: a mask."""
        platform = (table.columns["svt"] == 1) & np.isin(table.columns["sid"], [at.sid for at in table.unit.platform])
        free: Array = (table.columns["im"] == 0) & ~platform
        for at, (_, _, source) in named.items():
            free[at] = free[at] and source.kind in ("device", "any")
        return free

    def _is_rewritten(self, source: Source | None) -> bool:
        return source is not None and (source.ioapic, source.pin) in self.rewritten

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
                entry = RTE.values(value)
                irq = told[ioapic.number, number].irq if (ioapic.number, number) in told else None
                found[ioapic.number, number] = PinState(
                    ioapic.number, number, entry["vector"], entry["mask"], entry["irr"], entry["tm"], irq
                )
    return [found[place] for place in sorted(found)]


def owners(snapshot: Snapshot) -> Mapping[int, str]:
    """Who has each PCI device, by seg << 16 | bus << 8 | devfn."""
    found = {device: domain.name for domain in snapshot.domains for device in domain.devices}
    if any(domain.irqfds for domain in snapshot.domains):
        takers = {irqfd.irq: domain.name for domain in snapshot.domains for irqfd in domain.irqfds or ()}
        known = [(msi.device, takers.get(msi.irq)) for msi in snapshot.msis if msi.device is not None]
        found |= {device: name for device, name in known if name}
    return found | {device.sbdf: device.owner for device in snapshot.devices}


def entry_at(unit: VtdUnit, index: int) -> Entry | None:
    """The present entry of that index by mnemonic, with its `index`; None if there is none."""
    at = bisect_left(unit.indices, index)
    if at == len(unit.indices) or unit.indices[at] != index:
        return None
    raw = unit.raw[at * REMAPPED.size : (at + 1) * REMAPPED.size]
    return {"index": index, **IRTE.values(int.from_bytes(raw, "little"))}


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


def _actions(snapshot: Snapshot) -> dict[int, str]:
    """Who handles each pirq in domain 0's Linux, if somebody has asked for that Linux."""
    kernel = snapshot.kernel if snapshot.has_read("kernel") else None
    return {pirq.pirq: pirq.action for pirq in kernel.pirqs if pirq.action} if kernel else {}


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


def _device(source: Source) -> int | None:
    return None if source.bdf is None else (source.segment or 0) << 16 | _sid(source.bdf)


def _sid(text: str) -> int:
    bus, _, rest = text.rpartition(":")
    device, _, function = rest.partition(".")
    return int(bus, 16) << 8 | int(device, 16) << 3 | int(function)
