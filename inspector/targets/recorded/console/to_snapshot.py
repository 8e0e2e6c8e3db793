"""What a boot's debug keys and messages say, as a snapshot: joined where one key completes another.

Nothing is guessed: an MSI is given the remapping entry that has its vector and source only if there is one such entry.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from inspector.model.absence import NOT_PRINTED, Absence, unreadable
from inspector.model.interrupts import NO_INDEX, Device, Guest, IoApic, Irq, Msi, Pin, Redirection
from inspector.model.reports import FaultReport, Message
from inspector.model.snapshot import MARKER, Domain, Snapshot, Vcpu
from inspector.model.vtd import HPET, IOAPIC, Hop, Platform, Register, Scope, Structure, VtdUnit
from inspector.targets.recorded.console import (
    boot,
    faults,
    key_domains,
    key_ioapic,
    key_irq,
    key_msi,
    key_pci,
    key_vtd,
    trouble,
)
from inspector.targets.recorded.console.answers import BootLines, chosen
from inspector.targets.recorded.console.damage import Damage
from inspector.targets.recorded.console.key import Key
from structs.bits import packed
from structs.ioapic import REMAPPABLE
from structs.irte import REMAPPED, dst_from_apic_id, dst_reserved_bits, source_matches
from structs.registers import BY_NAME
from structs.xen.variants import DESCRIPTORS_BELOW_4G

T = TypeVar("T")

XEN_ENTRIES = 1 << 16
"""The size of Xen's tables, where the log does not say it."""

DAMAGE_SHOWN = 5

ORIGIN = "the console log"

PARTS = {
    "units": ("V", "remapping tables"),
    "msis": ("M", "MSIs"),
    "irqs": ("i", "irqs"),
    "vcpus": ("q", "vCPUs"),
    "devices": ("Q", "PCI devices and their owners"),
}
"""By member of a snapshot: the debug key that prints it, and what that is."""


def snapshot(target: str, lines: BootLines) -> tuple[Snapshot, list[str]]:
    """The snapshot, and what to say about the choice of answers."""
    made = _Making(target, lines)
    return made.snapshot(), made.notes


class _Making:
    """One boot's facts, key by key."""

    def __init__(self, target: str, lines: BootLines) -> None:
        self.target = target
        self.lines = lines
        self.notes: list[str] = []
        self.absent: list[Absence] = []
        self.damaged: list[Damage] = []
        self.tables = self._facts(key_vtd.KEY, key_vtd.Tables)
        self.msis = self._facts(key_msi.KEY, key_msi.Msis)
        self.irqs = self._facts(key_irq.KEY, key_irq.Irqs)
        self.ioapics = self._facts(key_ioapic.KEY, key_ioapic.IoApics)
        self.devices = self._facts(key_pci.KEY, key_pci.Devices)
        self.domains = self._facts(key_domains.KEY, key_domains.Domains)
        self.faults = self._facts(faults.KEY, faults.Faults)
        self.boot = self._facts(boot.KEY, boot.Boot)
        self.trouble = self._facts(trouble.KEY, trouble.Messages)

    def _facts(self, key: Key[T], empty: Callable[[], T]) -> T:
        answers = self.lines.answers.get(key.name)
        if not answers:
            return empty()
        facts, notes, problems = chosen(key, answers)
        self.notes += notes
        self.absent += [unreadable(f"key {key.name}", problem) for problem in problems]
        self.damaged += facts.damaged  # type: ignore[attr-defined]
        return facts

    def snapshot(self) -> Snapshot:
        """All of it."""
        x2apic = self._x2apic()
        direct = {name: vector for vector, name in (self.irqs.direct or {}).items()}
        made = Snapshot(
            self.target,
            version=self.boot.version,
            build_id=self.boot.build_id,
            intremap=self._intremap(),
            intpost=self.boot.intpost,
            x2apic=x2apic,
            posted_intr_vector=direct.get("pi_notification_interrupt"),
            pi_wakeup_vector=direct.get("pi_wakeup_interrupt"),
            domains=self._domains(),
            vcpus=tuple(_vcpu(domain, vcpu) for domain in self.domains.domains for vcpu in domain.vcpus),
            pins=self._pins(),
            ioapics=self._ioapics(),
            irqs=tuple(_irq(row) for row in self.irqs.rows),
            redirections=tuple(self._redirections()),
            devices=tuple(Device(d.sbdf, d.domain, d.owner, d.irqs) for d in self.devices.devices),
            faults=_counted(_fault_report(fault) for fault in self.faults.faults),
            messages=_counted(_message(message) for message in self.trouble.messages),
            described=tuple(self._structure(structure) for structure in self.boot.structures),
        )
        units = self._units(bool(x2apic))
        self._tell(made)
        return replace(made, units=units, msis=tuple(self._msis(units, bool(x2apic))), absent=tuple(self.absent))

    def _tell(self, made: Snapshot) -> None:
        """What is damaged, what is not certain, and what no key printed."""
        shown = self.damaged[:DAMAGE_SHOWN]
        self.absent += [unreadable(f"line {damage.line}", str(damage)) for damage in shown]
        if len(self.damaged) > len(shown):
            self.absent.append(unreadable("lines", f"and {len(self.damaged) - len(shown)} more damaged lines"))
        if made.release is None or made.release > DESCRIPTORS_BELOW_4G:
            why = "Xen printed its PDA sign-extended; bits 63:32 are not known, taken as 0"
            self.absent += [
                unreadable(f"{_unit_name(unit.index)} entry {index:#x}", why, "pda")
                for unit in self.tables.units
                for index in unit.signed
            ]
        for unit in self.tables.units:
            if unit.index is None:
                count = len(unit.entries)
                why = f"{count} rows stand before any `iommu N:` line in the log: which unit's they are is not known"
                self.absent.append(unreadable("key V", f"key V: {why}"))
        if any(pin.ioapic is None for pin in self.tables.pins):
            why = "key V: rows of pins stand before any `Redirection table` line: which IO-APIC's they are is not known"
            self.absent.append(unreadable("key V", why))
        for member, (key, what) in PARTS.items():
            if key not in self.lines.answers:
                self.absent.append(Absence(NOT_PRINTED, what, f"the log has no answer to debug key `{key}`", member))
        for what, member in (("descriptors", "pi"), ("blocking lists", "lists"), ("CPUs", "cpus")):
            self.absent.append(Absence(NOT_PRINTED, what, "no debug key prints them", member))

    def _x2apic(self) -> bool | None:
        """What the log says, or else what the destinations look like."""
        if self.boot.x2apic is not None:
            return self.boot.x2apic
        remapped = (
            REMAPPED["dst"].extract(int.from_bytes(raw, "little"))
            for unit in self.tables.units
            for raw in unit.entries.values()
            if not raw[1] >> 7
        )
        used = [dst for dst in remapped if dst]
        return any(dst_reserved_bits(dst, False) for dst in used) if used else None

    def _intremap(self) -> bool | None:
        if self.boot.intremap is not None:
            return self.boot.intremap
        told = [unit.remapping for unit in self.tables.units if unit.remapping is not None]
        return any(told) if told else None

    # Units.

    def _units(self, x2apic: bool) -> tuple[VtdUnit, ...]:
        printed: dict[int | None, key_vtd.UnitFacts] = {unit.index: unit for unit in self.tables.units}
        booted: dict[int | None, boot.StructureFacts] = dict(enumerate(self.boot.units))
        order = [*(unit.index for unit in self.tables.units), *(index for index in booted if index not in printed)]
        return tuple(self._unit(index, printed.get(index), booted.get(index), x2apic) for index in order)

    def _unit(
        self, index: int | None, told: key_vtd.UnitFacts | None, booted: boot.StructureFacts | None, x2apic: bool
    ) -> VtdUnit:
        unit = VtdUnit(index, 0, origin=ORIGIN, eime=int(x2apic))
        if told:
            indices = tuple(sorted(told.entries))
            has_table = bool(told.size or indices)
            unit = replace(
                unit,
                base=0 if has_table else None,
                size=told.size or (XEN_ENTRIES if has_table else 0),
                cap_pi=None if told.posting is None else int(told.posting),
                in_use=told.in_use,
                indices=indices,
                raw=b"".join(told.entries[at] for at in indices),
                platform=self._platform(told),
            )
        if booted:
            scopes = tuple(self._scope(scope) for scope in booted.scopes)
            platform = tuple(
                Platform(scope.kind, scope.enumeration_id, scope.sid)
                for scope in scopes
                if scope.kind in (IOAPIC, HPET) and scope.sid is not None
            )
            posting = None if booted.cap is None else BY_NAME["CAP"].record["pi"].extract(booted.cap)
            unit = replace(
                unit,
                register_base=booted.base or 0,
                segment=booted.scopes[0].sbdf >> 16 if booted.scopes else 0,
                cap=booted.cap,
                ecap=booted.ecap,
                cap_pi=posting if unit.cap_pi is None else unit.cap_pi,
                registers=tuple(
                    Register(name, value)
                    for name, value in (("CAP", booted.cap), ("ECAP", booted.ecap))
                    if value is not None
                ),
                scopes=scopes,
                include_all=booted.all,
                platform=platform or unit.platform,
            )
        return unit

    def _platform(self, unit: key_vtd.UnitFacts) -> tuple[Platform, ...]:
        """The IO-APICs that use the unit: those of whose pins' entries more are here than in any other unit."""
        sids: dict[int, int] = {}
        for ioapic in sorted({pin.ioapic for pin in self.tables.pins if pin.ioapic is not None}):
            if (found := self._home(ioapic)) and found[0] is unit:
                sids[ioapic] = found[1]
        # Where nothing says an IO-APIC's APIC id, it goes by Xen's number.
        ids = {ioapic: self._ioapic_id(ioapic) for ioapic in sids}
        return tuple(Platform(IOAPIC, ids[ioapic], sid) for ioapic, sid in sids.items())

    def _home(self, ioapic: int) -> tuple[key_vtd.UnitFacts, int] | None:
        """The unit that an IO-APIC's pins use, and its source-id: the only unit in which all of its pins' entries are
        there, have one source-id, and the vectors that the pins have. None if that is no unit, or more than one."""
        pins = [pin for pin in self.tables.pins if pin.ioapic == ioapic]
        found = []
        for unit in self.tables.units:
            entries = [_remapped(unit.entries[pin.index]) for pin in pins if pin.index in unit.entries]
            sids = {entry["sid"] for entry in entries if entry}
            vectors = [entry["vector"] for entry in entries if entry]
            if pins and vectors == [pin.vector for pin in pins] and len(sids) == 1:
                found.append((unit, sids.pop()))
        return found[0] if len(found) == 1 else None

    def _scope(self, scope: boot.ScopeFacts) -> Scope:
        """A scope. Which IO-APIC it is, is not printed: the only one there is, or the one whose pins have its sid."""
        sid = scope.sbdf & 0xFFFF
        id: int | None = None
        if scope.kind == IOAPIC:
            by_sid = {home[1]: number for number in self._numbers() if (home := self._home(number))}
            scopes = {at.sbdf for unit in self.boot.units for at in unit.scopes if at.kind == IOAPIC}
            if sid in by_sid:
                id = self._ioapic_id(by_sid[sid])
            elif len(scopes) == len(self.boot.ioapics) == 1:
                id = self.boot.ioapics[0].id
        hop = Hop(sid >> 3 & 0x1F, sid & 7)
        return Scope(scope.kind, id, None if scope.kind == BRIDGE else sid, sid >> 8, (hop,))

    def _structure(self, structure: boot.StructureFacts) -> Structure:
        scopes = tuple(self._scope(scope) for scope in structure.scopes)
        return Structure(structure.kind, structure.base, structure.limit, structure.all, structure.proximity, scopes)

    # IO-APICs.

    def _numbers(self) -> list[int]:
        """The IO-APICs' numbers, as Xen counts them."""
        numbers = {pin.ioapic for pin in self.tables.pins if pin.ioapic is not None}
        numbers |= self.tables.ioapics | {apic.number for apic in self.boot.ioapics}
        numbers |= set(range(len(self.ioapics.ioapics))) | {pin.ioapic for pin in self.irqs.pins}
        return sorted(numbers)

    def _ioapic_id(self, number: int) -> int | None:
        for apic in self.boot.ioapics:
            if apic.number == number:
                return apic.id
        return self.ioapics.ioapics[number].id if number < len(self.ioapics.ioapics) else None

    def _pins(self) -> tuple[Pin, ...]:
        return tuple(
            Pin(pin.ioapic, pin.pin, pin.index, self._ioapic_id(pin.ioapic), pin.vector)
            for pin in self.tables.pins
            if pin.ioapic is not None
        )

    def _ioapics(self) -> tuple[IoApic, ...]:
        """The IO-APICs; the entries that `V` prints are whole, in remappable format."""
        found = []
        for number in self._numbers():
            values: dict[int, int] = {}
            for pin in self.tables.pins:
                if pin.ioapic == number:
                    values[pin.pin] = _redirection_value(pin)
            listed = self.ioapics.ioapics[number] if number < len(self.ioapics.ioapics) else None
            count = max([pin + 1 for pin in values], default=0)
            if listed and values:
                count = max(count, len(listed.pins))
            redirection = tuple(values.get(pin) for pin in range(count))
            found.append(IoApic(number, self._ioapic_id(number), listed.version if listed else None, redirection))
        return tuple(found)

    def _redirections(self) -> Iterable[Redirection]:
        """Pins as `i` and `z` print them; `z` has all of them, `i` says whose irq each is."""
        irqs = {(pin.ioapic, pin.pin): pin.irq for pin in self.irqs.pins}
        listed = {(number, pin.pin): pin for number, apic in enumerate(self.ioapics.ioapics) for pin in apic.pins}
        for (number, at), pin in listed.items():
            yield Redirection(
                number, at, pin.vector, pin.mask, pin.tm, pin.irr, pin.pol, pin.delivs, pin.dlm, pin.dm, pin.dest,
                irqs.get((number, at)),
            )  # fmt: skip
        for other in self.irqs.pins:
            if (other.ioapic, other.pin) not in listed:
                yield Redirection(
                    other.ioapic, other.pin, other.vector, other.mask, other.tm, other.irr, other.pol, other.delivs,
                    other.dlm, other.dm, other.dest, other.irq,
                )  # fmt: skip

    # MSIs.

    def _msis(self, units: Sequence[VtdUnit], x2apic: bool) -> Iterable[Msi]:
        devices = {irq: device.sbdf for device in self.devices.devices for irq in device.irqs}
        entries = [(unit, index, entry) for unit in units for index, entry in _entries(unit)]
        pins = {pin.index for pin in self.tables.pins}
        for row in self.msis.rows:
            if row.kind == "IOMMU":
                continue  # a unit's own MSI is never remapped
            device = devices.get(row.irq)
            index = NO_INDEX
            if found := _entry_of(row, device, entries, pins, x2apic):
                unit, index, entry = found
                if device is None and row.kind != "HPET" and (entry["svt"], entry["sq"]) == (1, 0):
                    device = unit.segment << 16 | entry["sid"]  # only that source may use it
            kind = "HPET MSI" if row.kind == "HPET" else row.kind
            yield Msi(
                row.irq, index, kind, device, 0, 0, row.vector, None, row.host_masked, row.guest_masked, row.masked
            )

    # Domains.

    def _domains(self) -> tuple[Domain, ...]:
        owned: dict[int, list[int]] = {}
        for device in self.devices.devices:
            if device.domain is not None:
                owned.setdefault(device.domain, []).append(device.sbdf)
        told = {domain.domain: domain for domain in self.domains.domains}
        return tuple(
            Domain(
                number,
                hvm=told[number].hvm if number in told else False,
                pause_count=told[number].pause_count if number in told else 0,
                dying=told[number].dying if number in told else 0,
                devices=tuple(owned.get(number, ())),
            )
            for number in sorted({*told, *owned})
        )


BRIDGE = 2


def _unit_name(index: int | None) -> str:
    return "unit not known" if index is None else f"unit {index}"


def _remapped(raw: bytes) -> dict[str, int] | None:
    """An entry's fields if it is in remapped format."""
    whole = int.from_bytes(raw, "little")
    if REMAPPED["im"].extract(whole):
        return None
    return {name: REMAPPED[name].extract(whole) for name in ("vector", "dst", "sid", "sq", "svt")}


def _entries(unit: VtdUnit) -> Iterable[tuple[int, dict[str, int]]]:
    for at, index in enumerate(unit.indices):
        raw = unit.raw[at * REMAPPED.size : (at + 1) * REMAPPED.size]
        if entry := _remapped(raw):
            yield index, entry


def _entry_of(
    row: key_msi.MsiFacts,
    device: int | None,
    entries: Sequence[tuple[VtdUnit, int, dict[str, int]]],
    pins: set[int],
    x2apic: bool,
) -> tuple[VtdUnit, int, dict[str, int]] | None:
    """The entry of an MSI, with its unit and index, if only one can be its."""
    try:
        dst = row.dest if x2apic else dst_from_apic_id(row.dest, False)
    except ValueError:
        return None
    found = [
        (unit, index, entry)
        for unit, index, entry in entries
        if entry["vector"] == row.vector
        and entry["dst"] == dst
        and (source_matches(entry, device & 0xFFFF) if device is not None else index not in pins)
    ]
    return found[0] if len(found) == 1 else None


def _redirection_value(pin: key_vtd.PinFacts) -> int:
    fields = {
        "format": 1,
        "index": pin.index,
        "mask": pin.mask,
        "tm": pin.tm,
        "irr": pin.irr,
        "pol": pin.pol,
        "delivs": pin.delivs,
        "vector": pin.vector,
    }
    return packed(REMAPPABLE, fields)


def _irq(row: key_irq.IrqFacts) -> Irq:
    guests = tuple(Guest(g.domain, g.pirq, g.pending, g.masked, g.pirq_masked) for g in row.guests)
    return Irq(row.irq, row.vector, row.type, row.status, row.affinity, row.cpus, row.in_flight, guests, row.action)


def _vcpu(domain: key_domains.DomainFacts, vcpu: key_domains.VcpuFacts) -> Vcpu:
    pauses = vcpu.pause_count + domain.pause_count
    return Vcpu(
        vcpu.domain,
        vcpu.vcpu,
        hvm=domain.hvm,
        cpu=vcpu.processor,
        runstate=_runstate(vcpu, pauses),
        is_running=vcpu.running,
        pause_flags=vcpu.pause_flags or 0,
        pause_count=pauses,
        dirty_cpu=None if vcpu.dirty is None else vcpu.dirty[0] if vcpu.dirty else MARKER,
        polling=bool(vcpu.polling),
        event_pending=vcpu.upcall_pending,
        event_masked=vcpu.upcall_masked,
    )


def _runstate(vcpu: key_domains.VcpuFacts, pauses: int) -> str:
    """As the scheduler calls it: what is paused is not runnable (`vcpu_runnable`). Empty if the line is lost."""
    if vcpu.running:
        return "running"
    if vcpu.pause_flags is None:
        return ""
    if vcpu.pause_flags & 1:
        return "blocked"
    return "offline" if vcpu.pause_flags or pauses else "runnable"


def _fault_report(fault: faults.FaultFacts) -> FaultReport:
    return FaultReport(
        fault.sbdf, fault.reason, fault.index, fault.address, fault.read, fault.unit, 1, fault.time, fault.time,
        fault.line,
    )  # fmt: skip


def _message(message: trouble.MessageFacts) -> Message:
    return Message(
        message.kind, message.text, message.cpu, message.vector, message.unit, 1, message.time, message.time,
        message.line,
    )  # fmt: skip


Counted = TypeVar("Counted", FaultReport, Message)


def _counted(reports: Iterable[Counted]) -> tuple[Counted, ...]:
    """The same kind once, with how often, first and last."""
    found: dict[Hashable, Counted] = {}
    for report in reports:
        known = found.get(_kind(report))
        found[_kind(report)] = replace(known, count=known.count + 1, last=report.last) if known else report
    return tuple(found.values())


def _kind(report: FaultReport | Message) -> Hashable:
    """What reports of the same kind have in common. DMA faults of one device are of one kind, wherever to."""
    if isinstance(report, Message):
        return report.kind, report.text, report.unit
    return report.device, report.reason, report.index, report.address is None, report.read, report.unit
