"""What the firmware leaves in memory: the ACPI root pointer, its root table and the DMAR table."""

from __future__ import annotations

from collections.abc import Sequence

from sim_backend.layout.structures import StructureWriter
from sim_backend.layout.vtd import VtdUnit
from structs.acpi import EMPTY_HEADER, RSDP, RSDT, checksum, with_checksum
from structs.dmar import DMAR

RSDP_ADDRESS, RSDT_ADDRESS, DMAR_ADDRESS = 0xF_5A40, 0xE_1000, 0xE_2000
IOAPIC_SCOPE, ENDPOINT_SCOPE = 3, 1
FIRST_SCOPED_DEVICE = 2
"""Unit 0, if it is not the last, serves 00:02.0, the next one 00:03.0, and so on."""
IOAPIC_SID = 0xFF00
"""The source-id of the first IO-APIC; each further one is the next device."""
ZAPPED = b"RMAD"
"""The signature that Xen gives the table, so that dom0 does not find it. Source: `acpi_dmar_zap`."""

_VENDOR = {
    "oem_id": b"VTDPI ",
    "oem_table_id": b"SIMULATE",
    "creator_id": b"VTDP",
    "creator_revision": 1,
    "oem_revision": 1,
}


def ioapic_sid(number: int) -> int:
    """The source-id of an IO-APIC's interrupts."""
    return IOAPIC_SID + (number << 3)


def lay_out(ground: StructureWriter, units: Sequence[VtdUnit], ioapics: int, signature: bytes = ZAPPED) -> None:
    """Write the tables into the BIOS area and let Xen's `dmar_table` point there.

    The last unit serves the IO-APICs and everything that no other unit names.
    """
    header = EMPTY_HEADER | _VENDOR
    structures = []
    for number, unit in enumerate(units):
        last = unit is units[-1]
        scopes = [_ioapic_scope(ioapic) for ioapic in range(ioapics)] if last else [_bus_scope(number)]
        drhd = {"flags": {"include_pci_all": int(last)}, "base": unit.registers, "scopes": scopes}
        structures.append({"type": 0, "body": drhd})
    body = {**header, "haw": 47, "flags": {"intr_remap": 1}, "structures": structures}
    memory = ground.memory
    memory.write(DMAR_ADDRESS, with_checksum(DMAR.build({"signature": signature, "body": body})))
    root = {"signature": b"RSDT", "body": {**header, "entries": [DMAR_ADDRESS]}}
    memory.write(RSDT_ADDRESS, with_checksum(RSDT.build(root)))
    memory.write(RSDP_ADDRESS, _root_pointer())
    ground.set_variable("dmar_table", 8, ground.virtual(DMAR_ADDRESS))


def _ioapic_scope(number: int) -> dict[str, object]:
    sid = ioapic_sid(number)
    return {
        "type": IOAPIC_SCOPE,
        "enumeration_id": number,
        "start_bus": sid >> 8,
        "path": [{"device": sid >> 3 & 31, "function": sid & 7}],
    }


def _bus_scope(number: int) -> dict[str, object]:
    """A unit that is not the last serves one endpoint, as one for the built-in graphics does."""
    return {
        "type": ENDPOINT_SCOPE,
        "enumeration_id": 0,
        "start_bus": 0,
        "path": [{"device": FIRST_SCOPED_DEVICE + number, "function": 0}],
    }


def _root_pointer() -> bytes:
    fields = {"checksum": 0, "oem_id": _VENDOR["oem_id"], "revision": 0, "rsdt_address": RSDT_ADDRESS, "extended": None}
    raw = RSDP.build(fields)
    return bytes(RSDP.build(fields | {"checksum": -checksum(raw) & 0xFF}))
