"""Who uses an interrupt-remapping entry: an IO-APIC's pin, a timer, a device's MSI. One answer for every command.

An index means nothing without its unit, a pin nothing without its IO-APIC, and an IO-APIC belongs to one unit: as the
ACPI DMAR table says, or Xen's copy of it, or else as the entries themselves prove.

Sources: VT-d 8.3.1 (device scope), 9.9 (SID, SQ, SVT); Xen's `apic_pin_2_ir_idx`, `ioapic_rte_to_remap_entry`,
`hpet_sbdf`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from inspector.model.interrupts import Msi, Pin
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import HPET, IOAPIC, VtdUnit
from inspector.vtd.remapping import bdf
from structs.columns import columns, records
from structs.frozen import frozen
from structs.irte import REMAPPED, source_matches

if TYPE_CHECKING:
    from inspector.model.documents import Source as SourceDocument

ENDPOINT = 1
"""The kind of a scope that is a device and no bridge."""

Place = tuple[int | None, int]
"""A unit's index, and the source-id that an IO-APIC has there."""


@frozen
class Source:
    """What uses an entry, as far as it is known.

    Attributes:
        kind: `ioapic`, `hpet`, `msi`, `device` (one whose MSI Xen does not tell of) or `any`.
        ioapic, pin: as Xen counts them. `ioapic_id` is the IO-APIC's APIC id.
        hpet: its number in the DMAR table.
        type, irq: of an MSI: `MSI`, `MSI-X` or `HPET MSI`, and Xen's irq.
        segment, bdf: of the device.
        guest_vector, pi_desc: guest vector and descriptor (physical address), while Xen posts the MSI to a guest.
    """

    kind: str
    ioapic_id: int | None = None
    ioapic: int | None = None
    pin: int | None = None
    hpet: int | None = None
    type: str | None = None
    irq: int | None = None
    segment: int | None = None
    bdf: str | None = None
    guest_vector: int | None = None
    pi_desc: int | None = None

    def document(self) -> SourceDocument:
        """What `--json` prints of it: what is known."""
        return cast("SourceDocument", {name: value for name, value in vars(self).items() if value is not None})

    def __str__(self) -> str:
        match self.kind:
            case "ioapic":
                if self.pin is not None:
                    return f"IO-APIC {self.ioapic} pin {self.pin}"
                return "an IO-APIC" if self.ioapic_id is None else f"IO-APIC id {self.ioapic_id}"
            case "hpet":
                return f"HPET irq {self.irq}" if self.hpet is None else f"HPET {self.hpet}"
            case "msi":
                return f"{self.bdf} {self.type} irq {self.irq}"
            case "device":
                return f"device {self.bdf}"
        return "not known"


class InterruptSources:
    """The users of all entries of a machine's units."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._msis: dict[int, list[Msi]] = {}
        self._by_source_id: dict[tuple[int | None, int, int], Source] = {}
        for msi in snapshot.msis:
            self._msis.setdefault(msi.index, []).append(msi)

    def of(self, unit: VtdUnit, entry: Mapping[str, Any]) -> Source:
        """Who uses an entry of a unit. `entry` has `index`, `sid`, `sq` and `svt`."""
        if entry["index"] in self._msis or (unit.index, entry["index"]) in self._pins:
            return self._of(unit, entry)
        # Without a pin or an MSI of its index, only the source-id tells: one answer for all of a device's entries.
        asked = (unit.index, entry["svt"], entry["sid"])
        if asked not in self._by_source_id:
            self._by_source_id[asked] = self._of(unit, entry)
        return self._by_source_id[asked]

    def _of(self, unit: VtdUnit, entry: Mapping[str, Any]) -> Source:
        at = next((at for at in unit.platform if entry["svt"] == 1 and at.sid == entry["sid"]), None)
        pin = self._pin(unit, entry)
        if pin and (at is None or at.kind == IOAPIC):
            return Source("ioapic", at.enumeration_id if at and pin.id is None else pin.id, pin.ioapic, pin.pin)
        if at and at.kind == IOAPIC:
            return Source("ioapic", at.enumeration_id)
        if msi := self.msi(unit, entry):
            return _of_msi(msi)
        if at:
            return Source("hpet", hpet=at.enumeration_id)
        if entry["svt"] == 1:
            return Source("device", segment=unit.segment, bdf=bdf(entry["sid"]))
        return Source("any")

    def msi(self, unit: VtdUnit, entry: Mapping[str, Any]) -> Msi | None:
        """The MSI that Xen has set up for an entry: of its index, from a source that may use it, through this unit."""
        return next((msi for msi in self._msis.get(entry["index"], ()) if self._is_of(msi, unit, entry)), None)

    def unit_of_ioapic(self, number: int) -> int | None:
        """The index of the unit that an IO-APIC's interrupts go through; None if it is not known."""
        place = self._places.get(number)
        return None if place is None else place[0]

    def _pin(self, unit: VtdUnit, entry: Mapping[str, Any]) -> Pin | None:
        """The pin that has the entry. Xen gives no two pins one entry: where several are told to have it, none is."""
        pins = self._pins.get((unit.index, entry["index"]), ())
        found = [pin for pin in pins if source_matches(entry, self._places[pin.ioapic][1])]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _pins(self) -> dict[tuple[int | None, int], list[Pin]]:
        """The pins by unit and index, of those IO-APICs whose unit is known."""
        found: dict[tuple[int | None, int], list[Pin]] = {}
        for pin in self._snapshot.pins:
            if (place := self._places.get(pin.ioapic)) is not None:
                found.setdefault((place[0], pin.index), []).append(pin)
        return found

    def _is_of(self, msi: Msi, unit: VtdUnit, entry: Mapping[str, Any]) -> bool:
        if msi.unit is not None:
            return msi.unit == unit.index
        if msi.device is None:
            return self._is_timers(unit, entry)
        if not source_matches(entry, msi.device & 0xFFFF) or msi.device >> 16 != unit.segment:
            return False
        return self._units_by_device.get(msi.device, unit.index) == unit.index

    def _is_timers(self, unit: VtdUnit, entry: Mapping[str, Any]) -> bool:
        """Whether a timer's MSI may go through this entry."""
        known = [(of, at) for of in self._snapshot.units for at in of.platform if at.kind == HPET]
        if not known:
            return len(self._snapshot.units) == 1
        return any(of.index == unit.index and source_matches(entry, at.sid) for of, at in known)

    @cached_property
    def _units_by_device(self) -> dict[int, int | None]:
        """The unit of each device that the DMAR table names, by segment and source-id."""
        return {
            unit.segment << 16 | scope.sid: unit.index
            for unit in self._snapshot.units
            for scope in unit.scopes
            if scope.kind == ENDPOINT and scope.sid is not None
        }

    @cached_property
    def _places(self) -> dict[int, Place]:
        """Unit and source-id by IO-APIC, of those where only one answer is possible."""
        pins: dict[int, list[Pin]] = {}
        for pin in self._snapshot.pins:
            pins.setdefault(pin.ioapic, []).append(pin)
        open_ones = {number: self._possible(own) for number, own in pins.items()}
        known: dict[int, Place] = {}
        while sure := {number: places[0] for number, places in open_ones.items() if len(places) == 1}:
            known |= sure
            taken = {(known[number][0], pin.index) for number in known for pin in pins[number]}
            # Two pins never share an entry.
            open_ones = {
                number: [place for place in places if not any((place[0], pin.index) in taken for pin in pins[number])]
                for number, places in open_ones.items()
                if number not in known
            }
        return known

    def _possible(self, pins: list[Pin]) -> list[Place]:
        """The places where an IO-APIC may be: by its id, else where all its pins' entries let one source use them."""
        named = [
            (unit.index, at.sid)
            for unit in self._snapshot.units
            for at in unit.platform
            if at.kind == IOAPIC and pins[0].id is not None and at.enumeration_id == pins[0].id
        ]
        if told := [place for place in named if pins[0].unit in (None, place[0])]:
            return told
        places = {place: self._vectors_agree(place[0], pins) for place in self._by_entries(pins)}
        return [place for place, agrees in places.items() if agrees] if any(places.values()) else list(places)

    def _by_entries(self, pins: list[Pin]) -> list[Place]:
        """Where the entries of all pins are present, or else of some where the unit is known to have such a source."""
        whole, partial = [], []
        for unit in self._snapshot.units:
            entries = self._entries[unit.index]
            present = [entries[pin.index] for pin in pins if pin.index in entries]
            sids = {sid for sid, _ in present}
            listed = {at.sid for at in unit.platform if at.kind == IOAPIC}
            if len(sids) == 1 and (not listed or sids <= listed):
                place = (unit.index, sids.pop())
                if len(present) == len(pins):
                    whole.append(place)
                elif listed or len(self._snapshot.units) == 1:
                    partial.append(place)
        return whole or partial

    def _vectors_agree(self, unit: int | None, pins: list[Pin]) -> bool:
        entries = self._entries[unit]
        told = [(pin.vector, entries[pin.index][1]) for pin in pins if pin.vector is not None and pin.index in entries]
        return bool(told) and all(vector == written for vector, written in told)

    @cached_property
    def _entries(self) -> dict[int | None, dict[int, tuple[int, int]]]:
        """By unit: source-id and vector of the present entries that pins of IO-APICs name and one source uses."""
        named = {pin.index for pin in self._snapshot.pins}
        found: dict[int | None, dict[int, tuple[int, int]]] = {}
        for unit in self._snapshot.units:
            table = columns(REMAPPED, records(REMAPPED, unit.raw), ["svt", "sid", "vector"])
            rows = zip(unit.indices, *(column.tolist() for column in table.values()), strict=True)
            found[unit.index] = {
                index: (sid, vector) for index, svt, sid, vector in rows if svt == 1 and index in named
            }
        return found


def _of_msi(msi: Msi) -> Source:
    device = msi.device
    return Source(
        "hpet" if device is None and msi.kind.startswith("HPET") else "msi",
        type=msi.kind,
        irq=msi.irq,
        segment=None if device is None else device >> 16,
        bdf=None if device is None else bdf(device & 0xFFFF),
        guest_vector=msi.gvec if msi.pi_desc else None,
        pi_desc=msi.pi_desc or None,
    )
