"""Which device, IO-APIC pin or timer uses an interrupt-remapping entry, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inspector.capture.inspection import Inspection
from inspector.model.interrupts import Msi
from inspector.vtd.remapping import bdf
from inspector.vtd.units import Unit
from structs.irte import source_matches

IOAPIC, HPET = 3, 4


class Sources:
    """The users of one unit's entries: from the DMAR's device scopes, and from Xen where it is known."""

    def __init__(self, inspection: Inspection, unit: Unit) -> None:
        self.unit = unit
        self.pins: dict[int, list[tuple[int, int]]] = {}
        self.msis: dict[int, list[Msi]] = {}
        self.platform = {
            scope.sid: scope for scope in unit.scopes if scope.kind in (IOAPIC, HPET) and scope.sid is not None
        }
        for pin, index in inspection.xen_pins.items():
            self.pins.setdefault(index, []).append(pin)
        for msi in inspection.xen_msis:
            self.msis.setdefault(msi.index, []).append(msi)

    def of(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """What uses the entry: its `kind` (`ioapic`, `hpet`, `msi`, `device` or `any`) and what is known of it.

        A Xen with several units counts indices in each: a pin or MSI belongs to the entry only if its source-id passes.
        """
        index, sid = entry["index"], entry["sid"]
        scope = self.platform.get(sid) if entry["svt"] == 1 else None
        if scope and scope.kind == IOAPIC:
            source = {"kind": "ioapic", "ioapic_id": scope.enumeration_id}
            if pins := self.pins.get(index):
                source |= {"ioapic": pins[0][0], "pin": pins[0][1]}
            return source
        for msi in self.msis.get(index, ()):
            if msi.device is None or source_matches(entry, msi.device & 0xFFFF):
                source = {"kind": "hpet" if msi.device is None else "msi", "type": msi.kind, "irq": msi.irq}
                if msi.device is not None:
                    source |= {"segment": msi.device >> 16, "bdf": bdf(msi.device & 0xFFFF)}
                if msi.pi_desc:
                    source |= {"gvec": msi.gvec, "pi_desc": msi.pi_desc}
                return source
        if scope:
            return {"kind": "hpet", "number": scope.enumeration_id}
        if entry["svt"] == 1:
            return {"kind": "device", "segment": self.unit.segment, "bdf": bdf(sid)}
        return {"kind": "any"}


def in_words(source: Mapping[str, Any]) -> str:
    """A source for a reader."""
    match source["kind"]:
        case "ioapic" if "pin" in source:
            return f"IO-APIC {source['ioapic']} pin {source['pin']}"
        case "ioapic":
            return f"IO-APIC id {source['ioapic_id']}"
        case "msi":
            return f"{source['bdf']} {source['type']} irq {source['irq']}"
        case "hpet":
            return f"HPET {source['number']}" if "number" in source else f"HPET irq {source['irq']}"
        case "device":
            return f"device {source['bdf']}"
    return "-"
