"""What changed between two snapshots, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from inspector.analysis.irqs import pin_states
from inspector.model.absence import NOT_PRINTED
from inspector.model.interrupts import NO_INDEX, Msi
from inspector.model.snapshot import BlockingList, Snapshot
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import bdf
from structs.frozen import frozen
from structs.irte import IRTE

Flat = dict[tuple[str, str], Any]

PARTS = {"target", "cpus", "lists", "domains", "vcpus", "units", "msis", "pins", "ioapics", "dmar", "absent"} | {
    *("irqs", "redirections", "devices", "faults", "messages", "described", "kernel"),
}
PARTS_OF_UNIT = {
    *("index", "indices", "raw", "stale_indices", "stale_raw", "gaps", "irta", "cap", "ecap"),
    *("registers", "queue", "faults", "frcd", "platform", "scopes", "absent"),
}
"""What is compared by itself, or not at all."""

PINS = "pins"
TOLD = {
    "units": "remapping tables",
    "msis": "MSIs",
    "irqs": "irqs",
    "vcpus": "vCPUs",
    "devices": "PCI devices",
    PINS: "IO-APIC pins",
}
"""Parts that one log has and another may not, in words."""
MACHINE = "machine"


@frozen
class Change:
    """A field that differs; None is what is not there, or not known."""

    subject: str
    field: str
    before: Any
    after: Any


def diff(before: Snapshot, after: Snapshot) -> list[Change]:
    """The fields that differ, in the order of the machine's parts."""
    unknown = not_compared(before, after)
    old, new = _flat(_without(before, unknown), after), _flat(_without(after, unknown), before)
    changes = [Change(*key, old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)]
    return [change for change in changes if not _is_unknown(change, unknown)]


def not_told(snapshot: Snapshot) -> set[str]:
    """The parts that a snapshot could have and its source did not print: nothing can be said of how they changed."""
    return {absence.member for absence in snapshot.absences if absence.kind == NOT_PRINTED and absence.member in TOLD}


def not_compared(before: Snapshot, after: Snapshot) -> set[str]:
    """The parts that one of the two does not tell; of pins, only if the other does: several keys print them."""
    with_pins = [bool(snapshot.redirections or snapshot.ioapics) for snapshot in (before, after)]
    pins = {PINS} if with_pins in ([True, False], [False, True]) else set()
    return pins | not_told(before) | not_told(after)


def _is_unknown(change: Change, parts: set[str]) -> bool:
    """Whether it is only that one side does not know: what the machine as a whole has it does not lose."""
    if change.before is not None and change.after is not None:
        return False
    return change.subject == MACHINE or (change.field == "irq" and "irqs" in parts)


def _without(snapshot: Snapshot, parts: set[str]) -> Snapshot:
    empty: dict[str, Any] = dict.fromkeys(parts, ())
    if "vcpus" in parts:
        empty["domains"] = ()
    if "units" in parts:
        empty |= {"pins": (), "ioapics": ()}
    if PINS in parts:
        empty |= {"redirections": (), "ioapics": ()}
    return snapshot.but(**empty) if empty else snapshot


def _flat(snapshot: Snapshot, other: Snapshot) -> Flat:
    """Every field by subject and name; of the remapping entries only those that the other snapshot has otherwise."""
    flat: Flat = {}
    _add(flat, MACHINE, snapshot, PARTS)
    for cpu in snapshot.cpus:
        _add(flat, f"CPU {cpu.cpu}", cpu, {"cpu"})
    for of_cpu in snapshot.lists:
        _add(flat, f"list {of_cpu.cpu}", of_cpu, {"cpu", "nodes", "following", "preceding"})
        flat[f"list {of_cpu.cpu}", "vcpus"] = _names(of_cpu)
    for domain in snapshot.domains:
        _add(flat, domain.name, domain, {"domain", "devices", "bindings", "irqfds"})
        flat[domain.name, "devices"] = [bdf(device & 0xFFFF) for device in domain.devices]
        for binding in domain.bindings or ():
            _add(flat, f"{domain.name} irq {binding.irq}", binding, {"irq"})
        for irqfd in domain.irqfds or ():
            _add(flat, f"{domain.name} GSI {irqfd.gsi}", irqfd, {"gsi"})
    for vcpu in snapshot.vcpus:
        _add(flat, vcpu.name, vcpu, {"domain", "vcpu", "pi", "kvm"})
        if vcpu.kvm:
            for field in fields(vcpu.kvm):
                flat[vcpu.name, f"kvm.{field.name}"] = getattr(vcpu.kvm, field.name)
        if vcpu.pi:
            for field in fields(vcpu.pi):
                flat[vcpu.name, f"pi.{field.name}"] = _plain(getattr(vcpu.pi, field.name))
    for unit in snapshot.units:
        _add(flat, unit.name, unit, PARTS_OF_UNIT)
        for fault in unit.faults:
            _add(flat, f"{unit.name} fault {fault.record}", fault, {"record"})
    theirs = {msi.irq: msi for msi in other.msis}
    for msi in snapshot.msis:
        _add(flat, f"irq {msi.irq}", msi, {"irq", *_not_joined(msi), *_not_joined(theirs.get(msi.irq, msi))})
    for irq in snapshot.irqs:
        _add(flat, f"irq {irq.irq}", irq, {"irq", "guests"})
        for guest in irq.guests:
            _add(flat, f"irq {irq.irq} of d{guest.domain}", guest, {"domain"})
    for pin in snapshot.pins:
        flat[f"IO-APIC {pin.ioapic} pin {pin.pin}", "index"] = pin.index
    for state in pin_states(snapshot):
        _add(flat, f"IO-APIC {state.ioapic} pin {state.pin}", state, {"ioapic", "pin"})
    for device in snapshot.devices:
        flat[bdf(device.sbdf & 0xFFFF), "owner"] = device.owner
    flat.update(_entries(snapshot, other))
    return flat


def _not_joined(msi: Msi) -> set[str]:
    """What the join of a log's keys did not find out of an MSI: it has not changed for that."""
    unknown = {"index"} if msi.index == NO_INDEX else set()
    return unknown | ({"device"} if msi.device is None and unknown else set())


def _entries(snapshot: Snapshot, other: Snapshot) -> Iterator[tuple[tuple[str, str], Any]]:
    theirs = {unit.index: _raw(unit) for unit in other.units}
    for unit in snapshot.units:
        same = theirs.get(unit.index, {})
        for index, raw in _raw(unit).items():
            if same.get(index) != raw:
                record = IRTE.record_of(raw)
                subject = f"{unit.name} entry {index:#x}"
                yield (subject, "format"), record.title
                for name, value in record.visible(record.parse(raw)).items():
                    yield (subject, name), value


def _raw(unit: VtdUnit) -> dict[int, bytes]:
    return {index: unit.raw[at * IRTE.size : (at + 1) * IRTE.size] for at, index in enumerate(unit.indices)}


def _add(flat: Flat, subject: str, part: Any, without: set[str]) -> None:
    for field in fields(part):
        if field.name not in without:
            flat[subject, field.name] = _plain(getattr(part, field.name))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _names(of_cpu: BlockingList) -> list[str]:
    return [node.vcpu or f"{node.address:#x}" for node in of_cpu.nodes]
