"""Find the ACPI DMAR table in physical memory, as a BIOS leaves it (ACPI 5.2.5.1: RSDP in the EBDA or below 1 MiB)."""

from __future__ import annotations

from dataclasses import dataclass
from re import finditer
from typing import Any

from construct import ConstructError

from inspector.base.errors import NotReadable, VtdpiError
from inspector.model.vtd import Dmar, Hop, Scope
from inspector.targets.target import Target
from structs.acpi import HEADER, HEADER_SIZE, RSDP, RSDP_ALIGNMENT, RSDT, XSDT, checksum
from structs.dmar import DMAR, SCOPE_FLAGS, SIGNATURES

PAGE = 0x1000
EBDA_POINTER = 0x40E
EBDA_SIZE = 0x400
BIOS_AREA = (0xE0000, 0x20000)
RSDP_SIGNATURE = b"RSD PTR "
RSDP_V1_SIZE = 20
TABLE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Described:
    """What the DMAR table tells of a unit: its segment, the devices it serves, and whether it serves all others too."""

    segment: int
    scopes: tuple[Scope, ...] = ()
    include_all: bool = False


def find_dmar(target: Target) -> tuple[int, Any]:
    """The physical address of the DMAR table, and the table as `structs.dmar.DMAR` parses it.

    Raises:
        VtdpiError: there is no root pointer or no DMAR, or what there is cannot be read or is not sound.
    """
    found = find(target)
    return found.address, parsed(found)


def parsed(dmar: Dmar) -> Any:
    """The table as `structs.dmar.DMAR` parses it. Raises VtdpiError if it is not sound."""
    try:
        return DMAR.parse(dmar.raw)
    except ConstructError as error:
        raise VtdpiError(f"the DMAR table at {dmar.address:#x} is not sound: {_first_line(error)}") from None


def described_units(dmar: Any) -> dict[int, Described]:
    """The units of a parsed table, by register base."""
    return {
        body["base"]: Described(
            body["segment"], tuple(map(_scope, body["scopes"])), bool(body["flags"]["include_pci_all"])
        )
        for body in (structure["body"] for structure in dmar["body"]["structures"] if structure["type"] == 0)
    }


def _scope(scope: Any) -> Scope:
    path = tuple(Hop(hop["device"], hop["function"]) for hop in scope["path"])
    sid = scope["start_bus"] << 8 | path[0].device << 3 | path[0].function if len(path) == 1 else None
    flags = int.from_bytes(SCOPE_FLAGS.build(dict(scope["flags"])), "little")
    return Scope(scope["type"], scope["enumeration_id"], sid, scope["start_bus"], path, flags)


def find(target: Target) -> Dmar:
    """The DMAR table as it lies in memory.

    Raises:
        VtdpiError: there is no root pointer or no DMAR, or what there is cannot be read.
    """
    root = _root(target)
    addresses = (XSDT if root["signature"] == b"XSDT" else RSDT).parse(_table(target, root["address"]))["body"][
        "entries"
    ]
    headers = target.read_parts([(address, HEADER_SIZE) for address in addresses])
    for address, header in zip(addresses, headers, strict=True):
        if header is not None and header[:4] in SIGNATURES:
            return Dmar(address, _table(target, address))
    raise VtdpiError(f"no DMAR among the {len(addresses)} ACPI tables: this machine describes no VT-d unit")


def _root(target: Target) -> dict[str, Any]:
    """Address and signature of the RSDT or XSDT. Revision 2 of the root pointer names both: the XSDT is preferred."""
    for start, area in _areas(target):
        for at in (match.start() for match in finditer(RSDP_SIGNATURE, area)):
            whole = at % RSDP_ALIGNMENT == 0 and at + RSDP_V1_SIZE <= len(area)
            if whole and checksum(area[at : at + RSDP_V1_SIZE]) == 0:
                try:
                    rsdp = RSDP.parse(area[at:])
                except ConstructError as error:
                    raise VtdpiError(
                        f"the ACPI root pointer at {start + at:#x} is not sound: {_first_line(error)}"
                    ) from None
                if rsdp["extended"] and rsdp["extended"]["xsdt_address"]:
                    return {"signature": b"XSDT", "address": rsdp["extended"]["xsdt_address"]}
                return {"signature": b"RSDT", "address": rsdp["rsdt_address"]}
    raise VtdpiError(
        "no ACPI root pointer below 1 MiB (not part of this target, or firmware that keeps it elsewhere): no DMAR table"
    )


def _areas(target: Target) -> list[tuple[int, bytes]]:
    """The places where a root pointer may be, holes left out."""
    wanted = [(BIOS_AREA[0] + at, PAGE) for at in range(0, BIOS_AREA[1], PAGE)]
    pointer = target.read_parts([(EBDA_POINTER, 2)])[0]
    if pointer is not None and (ebda := int.from_bytes(pointer, "little") << 4) >= PAGE:
        wanted.insert(0, (ebda, EBDA_SIZE))
    areas: list[tuple[int, bytes]] = []
    for (address, _), part in zip(wanted, target.read_parts(wanted), strict=True):
        if part is None:
            continue
        if areas and areas[-1][0] + len(areas[-1][1]) == address:
            areas[-1] = (areas[-1][0], areas[-1][1] + part)
        else:
            areas.append((address, part))
    return areas


def _table(target: Target, address: int) -> bytes:
    try:
        header = HEADER.parse(target.read(address, HEADER_SIZE))
        if not HEADER_SIZE <= header["length"] <= TABLE_LIMIT:
            raise VtdpiError(f"the ACPI table at {address:#x} claims {header['length']} bytes: not a sound table")
        return target.read(address, header["length"])
    except NotReadable as error:
        raise VtdpiError(f"an ACPI table cannot be read: {error}") from None


def _first_line(error: ConstructError) -> str:
    return str(error).splitlines()[-1]
