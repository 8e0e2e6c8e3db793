"""One interrupt end to end: source, remapping entry, descriptor, vCPU, list, and what happens if it fires now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inspector.analysis.posting import effect
from inspector.analysis.sources import InterruptSources, Source
from inspector.model.notebook import html_table
from inspector.model.snapshot import Snapshot, Vcpu, is_log
from inspector.model.vtd import VtdUnit
from structs import remapping
from structs.apic import DELIVERY_MODES
from structs.columns import Array, columns, records, rows
from structs.frozen import frozen
from structs.irte import IRTE, POSTED, REMAPPED, SQ_MASKS
from structs.remapping import Checks, Destination, source_possible

Entry = dict[str, Any]
Columns = dict[str, Array]


@frozen
class Route:
    """A present entry of a unit's table, who uses it, and the vCPU that it posts to. `fires` is what happens if it
    fires now, a sentence each."""

    unit: VtdUnit
    entry: Entry
    source: Source
    vcpu: Vcpu | None
    fires: list[str]

    def __repr__(self) -> str:
        whose = f", posted to {self.vcpu.name}" if self.vcpu else ""
        return (
            f"<{self.source}: {self.unit.name} entry {self.entry['index']:#x}, vector {self.entry['vector']:#x}{whose}>"
        )

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        return html_table((), [("route", repr(self)), *(("", sentence) for sentence in self.fires)])


def routes(snapshot: Snapshot, chosen: Callable[[Columns], Array], unit: int | None = None) -> list[Route]:
    """The routes through the entries that `chosen` selects, in the tables' order; of one unit, if `unit` names it.

    `chosen` is one of `by_index`, `by_source` and `by_descriptor`.
    """
    found = []
    sources = InterruptSources(snapshot)
    for of_unit in snapshot.units:
        if unit in (None, of_unit.index):
            for entry in _entries(of_unit, chosen(_columns(of_unit))):
                vcpu = snapshot.by_descriptor.get(entry["pda"]) if "pda" in entry else None
                words = fires(snapshot, of_unit, entry)
                found.append(Route(of_unit, entry, sources.of(of_unit, entry), vcpu, words))
    return found


def by_index(index: int, unit: int | None = None) -> Callable[[Columns], Array]:
    """The entry of that index: of one unit, if `unit` names it, else of each."""
    return lambda table: (table["index"] == index) & (table["unit"] == unit if unit is not None else True)


def by_source(sid: int, segment: int | None = None) -> Callable[[Columns], Array]:
    """The entries that a device may use because they name it (as `structs.irte.source_matches`, without SVT=0), in
    units of its segment; of any if that is not known."""

    def usable(table: Columns) -> Array:
        compared = np.array(SQ_MASKS, "<u2")[table["sq"]]
        exactly = (table["sid"] ^ np.uint16(sid)) & compared == 0
        between = (table["sid"] >> 8 <= sid >> 8) & (table["sid"] & 0xFF >= sid >> 8)
        found: Array = np.select([table["svt"] == 1, table["svt"] == 2], [exactly, between], False)
        return found if segment is None else found & (table["segment"] == segment)

    return usable


def by_descriptor(address: int) -> Callable[[Columns], Array]:
    """The entries that post to the descriptor at a physical address."""
    return lambda table: (table["im"] == 1) & (table["pda"] == address)


def fires(snapshot: Snapshot, unit: VtdUnit, entry: Entry) -> list[str]:
    """What happens if the interrupt fires now, a sentence each."""
    source = InterruptSources(snapshot).of(unit, entry)
    if any(pin.rewritten and (pin.ioapic, pin.pin) == (source.ioapic, source.pin) for pin in snapshot.pins):
        return ["not known: the crash overwrote the entry of this pin (vector 0, edge); the irq tells what it was"]
    width = snapshot.dmar.host_address_width if snapshot.dmar else None
    raw = IRTE.select(entry["im"]).build({name: value for name, value in entry.items() if name != "index"})
    # Whether the unit can post is said below, with what would happen if it could.
    if wrong := Checks(bool(unit.eime), None, width).malformed(int.from_bytes(raw, "little")):
        what = ", ".join(map(str, wrong))
        return [f"fault 0x24: reserved bits or values of the entry are set ({what}); the interrupt is lost"]
    if not source_possible(entry["svt"], entry["sid"]):
        first, last = entry["sid"] >> 8, entry["sid"] & 0xFF
        return [f"fault 0x26: no bus lies between {first:#x} and {last:#x}: nobody may use it; the interrupt is lost"]
    if entry["im"] == 0:
        return _remapped(snapshot, unit, entry)
    start = []
    if unit.cap_pi == 0:
        start = ["the unit cannot post (CAP.PI=0): real hardware faults on the entry (0x24). With one that could:"]
    if own := next((cpu for cpu in snapshot.cpus if cpu.posted_msi and cpu.posted_msi.address == entry["pda"]), None):
        vector = f"vector {entry['vector']:#x}"
        return [
            *start,
            f"{vector} is posted to CPU {own.cpu}'s own descriptor; {snapshot.host}'s handler there takes it",
        ]
    vcpu = snapshot.by_descriptor.get(entry["pda"])
    if vcpu is None and is_log(snapshot):
        return [*start, f"the unit posts to {entry['pda']:#x}; whose descriptor that is, no debug key prints"]
    if vcpu is None or vcpu.pi is None:
        return [*start, f"the unit writes to {entry['pda']:#x}, which is the descriptor of no vCPU that is known"]
    if entry["vector"] in vcpu.pi.pir:
        again = (
            f"PIR of {vcpu.name} holds vector {entry['vector']:#x} already: one more post of it changes nothing there"
        )
        return [*start, again, *effect(snapshot, vcpu.pi, vcpu)]
    return [*start, *effect(snapshot, vcpu.pi, vcpu)]


def _remapped(snapshot: Snapshot, unit: VtdUnit, entry: Entry) -> list[str]:
    """Where a remapped interrupt goes, and who takes it there."""
    destination = Destination(entry["dst"], bool(entry["dm"]), bool(unit.eime))
    where = _where(snapshot, destination)
    vector = f"vector {entry['vector']:#x}"
    mode = DELIVERY_MODES[entry["dlm"]]
    match entry["dlm"]:
        case remapping.SMI:
            sent = f"an SMI is sent to {where}; the firmware's handler takes it"
        case remapping.NMI:
            sent = f"an NMI is sent to {where}; its handler there takes it"
        case remapping.INIT:
            sent = f"INIT is sent to {where}: that CPU is reset, and no handler runs"
        case remapping.EXTINT:
            sent = f"ExtINT is sent to {where}, which asks the 8259 for the vector"
        case _ if entry["vector"] < remapping.LOWEST_VECTOR:
            sent = (
                f"{vector} ({mode}) is sent to {where}, whose local APIC refuses it: vectors below "
                f"{remapping.LOWEST_VECTOR:#x} are illegal; the interrupt is lost"
            )
        case _:
            whose = f"{snapshot.host}'s handler" if snapshot.version or snapshot.cpus else "the handler"
            sent = f"{vector} ({mode}) is sent to {where}; {whose} there takes it"
    if _nobody(snapshot, destination):
        return [f"{sent.partition(';')[0]}: no online CPU has that APIC ID, and the interrupt is lost"]
    return [sent]


def _where(snapshot: Snapshot, destination: Destination) -> str:
    cpus = [cpu.cpu for cpu in snapshot.online if cpu.apic_id in (destination.apic_ids or ())]
    if not cpus:
        return destination.in_words()
    return f"{destination.in_words()}, CPU{'s' if len(cpus) > 1 else ''} {', '.join(map(str, cpus))}"


def _nobody(snapshot: Snapshot, destination: Destination) -> bool:
    """Whether it is certain that no CPU gets it: all that are online are known, and none is meant."""
    if not snapshot.online or destination.apic_ids is None:
        return False
    return not any(cpu.apic_id in destination.apic_ids for cpu in snapshot.online)


def _columns(unit: VtdUnit) -> Columns:
    """What is asked of entries, as columns: place, source and, in posted ones, `pda`."""
    raw = records(REMAPPED, unit.raw)
    count = len(unit.indices)
    return {
        "index": np.array(unit.indices, int),
        "unit": np.full(count, -1 if unit.index is None else unit.index),
        "segment": np.full(count, unit.segment),
        **columns(REMAPPED, raw, ["im", "sid", "sq", "svt"]),
        **columns(POSTED, raw, ["pda"]),
    }


def _entries(unit: VtdUnit, chosen: Array) -> list[Entry]:
    places = np.flatnonzero(chosen)
    raw = records(REMAPPED, unit.raw)[places]
    indices = np.array(unit.indices, int)[places]
    modes = columns(REMAPPED, raw, ["im"])["im"]
    found: dict[int, Entry] = {}
    for record in (POSTED, REMAPPED):
        here = modes == (record is POSTED)
        for index, row in zip(indices[here].tolist(), rows(columns(record, raw[here])), strict=True):
            found[index] = {"index": index, **row}
    return [found[index] for index in sorted(found)]
