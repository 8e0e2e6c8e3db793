"""Find the ACPI DMAR table in physical memory, by the root pointer (ACPI 5.2.5) and the root table that it names.

A BIOS leaves the root pointer in the EBDA or in the last 128 KiB below 1 MiB. UEFI hands its address to the operating
system and keeps it anywhere in RAM below 4 GiB, in the upper part as a rule, aligned to no more than 4 bytes in OVMF.
So where the address is not known, memory is searched for the signature, and the checksum tells what is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from re import finditer
from typing import Any

from construct import Construct, ConstructError

from inspector.base.errors import NotReadable, VtdpiError
from inspector.model.vtd import Dmar, Hop, Scope
from inspector.targets.ranges import Range
from inspector.targets.target import Control, Target
from structs.acpi import HEADER, HEADER_SIZE, RSDP, RSDP_ALIGNMENT, RSDT, XSDT, checksum
from structs.dmar import DMAR, NAMES, NO_BASE, SCOPE_FLAGS, SIGNATURES
from structs.frozen import frozen

PAGE = 0x1000
EBDA_POINTER = 0x40E
EBDA_SIZE = 0x400
BIOS_AREA = Range(0xE0000, 0x100000)
SIGNATURE = b"RSD PTR "
SIZE, WHOLE_SIZE = 20, 36
"""Of revision 0, and of the others."""
ANY_ALIGNMENT = 4

FOUR_GIB = 1 << 32
CHUNK = 4 << 20
ALIVE_LIMIT = 64 << 20
"""How much below the end of RAM is searched where the machine stands still for it; of a dump, all."""


def in_bios_areas(target: Target) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of each root pointer where a BIOS leaves it."""
    pointer = target.read_parts([(EBDA_POINTER, 2)])[0]
    areas = [BIOS_AREA]
    if pointer is not None and (ebda := int.from_bytes(pointer, "little") << 4) >= PAGE:
        areas.insert(0, Range(ebda, ebda + EBDA_SIZE))
    for area in areas:
        yield from within(target, area, RSDP_ALIGNMENT)


def within(target: Target, area: Range, alignment: int = ANY_ALIGNMENT) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of each root pointer in an area of memory, holes left out. A sum that is not 0 is none."""
    wanted = [(at, min(PAGE, area.end - at)) for at in range(area.start, area.end, PAGE)]
    start, run = area.start, b""
    for (address, _), part in zip([*wanted, (area.end, 0)], [*target.read_parts(wanted), None], strict=True):
        if part is not None:
            run += part
            continue
        yield from _in_bytes(start, run, alignment)
        start, run = address + PAGE, b""


def by_search(target: Target) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of each root pointer in RAM below 4 GiB, from the top."""
    ranges = [Range(known.start, min(known.end, FOUR_GIB)) for known in target.memory() or () if known.start < FOUR_GIB]
    left = FOUR_GIB if target.scannable and not alive(target) else ALIVE_LIMIT if target.scannable else 0
    for known in reversed(ranges):
        for end in range(known.end, known.start, -CHUNK):
            if left <= 0:
                return
            start = max(known.start, end - CHUNK)
            left -= end - start
            # What lies across the end is found too.
            raw = target.read_parts([(start, min(end + WHOLE_SIZE, known.end) - start)])[0]
            if raw is not None:
                yield from _in_bytes(start, raw, ANY_ALIGNMENT)


def alive(target: Target) -> bool:
    """Whether the machine stands still while it is read."""
    return isinstance(target, Control)


def _in_bytes(start: int, raw: bytes, alignment: int) -> Iterator[tuple[int, bytes]]:
    for at in (match.start() for match in finditer(SIGNATURE, raw)):
        whole = (start + at) % alignment == 0 and at + SIZE <= len(raw)
        if whole and checksum(raw[at : at + SIZE]) == 0:
            yield start + at, raw[at : at + WHOLE_SIZE]


def at_addresses(target: Target, addresses: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of the root pointers at these addresses, those left out where none is."""
    for address, raw in zip(addresses, target.read_parts([(at, WHOLE_SIZE) for at in addresses]), strict=True):
        if raw is not None:
            yield from (found for found in _in_bytes(address, raw, ANY_ALIGNMENT) if found[0] == address)


TABLE_LIMIT = 1 << 20


@frozen
class Described:
    """What the DMAR table tells of a unit: its segment, the devices it serves, and whether it serves all others too."""

    segment: int
    scopes: tuple[Scope, ...] = ()
    include_all: bool = False


def find_dmar(
    target: Target, roots: Sequence[int] = (), areas: Sequence[Range] = (), search: bool = True
) -> tuple[int, Any]:
    """The physical address of the DMAR table, and the table as `structs.dmar.DMAR` parses it; see `find`.

    Raises:
        VtdpiError: as `find`, or the table is not sound.
    """
    found = find(target, roots, areas, search)
    return found.address, parsed(found)


def parsed(dmar: Dmar) -> Any:
    """The table as `structs.dmar.DMAR` parses it. Raises VtdpiError if it is not sound."""
    try:
        return DMAR.parse(dmar.raw)
    except ConstructError as error:
        raise VtdpiError(f"the DMAR table at {dmar.address:#x} is not sound: {_first_line(error)}") from None


def described_units(dmar: Any) -> dict[int, Described]:
    """The units of a parsed table, by register base: without those that have none, the first of several with the same.

    `unsound` tells of both.
    """
    found: dict[int, Described] = {}
    for body in _drhds(dmar):
        if body["base"] not in NO_BASE:
            scopes = tuple(map(_scope, body["scopes"]))
            found.setdefault(body["base"], Described(body["segment"], scopes, bool(body["flags"]["include_pci_all"])))
    return found


def unsound(address: int, dmar: Any) -> list[str]:
    """What is wrong with a parsed table, a line each: what it says of some units or devices cannot be relied on."""
    lines = []
    seen: set[int] = set()
    for body in _drhds(dmar):
        base = body["base"]
        if base in NO_BASE:
            lines.append(f"a DRHD has register base {base:#x}, which no unit has: a firmware bug; it is left out")
        elif base in seen:
            lines.append(f"two DRHDs have register base {base:#x}: a firmware bug; only the first one counts")
        seen.add(base)
    for structure in dmar["body"]["structures"]:
        body = structure["body"]
        if not isinstance(body, bytes) and "scopes" in body and body["rest"]:
            name = NAMES[structure["type"]]
            of = f" at {body['base']:#x}" if "base" in body else ""
            lines.append(
                f"the {name}{of} ends in {len(body['rest'])} bytes that are no sound device scope:"
                " which devices are meant there is not known"
            )
    if dmar["body"]["rest"]:
        lines.append(
            f"the DMAR table at {address:#x} ends in {len(dmar['body']['rest'])} bytes that are no sound structure"
        )
    return lines


def _drhds(dmar: Any) -> Iterator[Any]:
    return (structure["body"] for structure in dmar["body"]["structures"] if structure["type"] == 0)


def _scope(scope: Any) -> Scope:
    path = tuple(Hop(hop["device"], hop["function"]) for hop in scope["path"])
    sid = scope["start_bus"] << 8 | path[0].device << 3 | path[0].function if len(path) == 1 else None
    flags = int.from_bytes(SCOPE_FLAGS.build(dict(scope["flags"])), "little")
    return Scope(scope["type"], scope["enumeration_id"], sid, scope["start_bus"], path, flags)


def find(target: Target, roots: Sequence[int] = (), areas: Sequence[Range] = (), search: bool = True) -> Dmar:
    """The DMAR table as it lies in memory.

    Args:
        roots: addresses at which a root pointer is known to be.
        areas: memory that the firmware has told to hold ACPI tables.
        search: whether to search RAM below 4 GiB if no root pointer is where it should be.

    Raises:
        VtdpiError: there is no root pointer or no DMAR, or what there is cannot be read.
    """
    found = chain(
        at_addresses(target, roots),
        in_bios_areas(target),
        chain.from_iterable(within(target, area) for area in areas),
        by_search(target) if search else (),
    )
    problem: VtdpiError | None = None
    for address, raw in found:
        try:
            return _dmar(target, address, raw)
        except VtdpiError as error:
            # A stale copy may lie beside the one in use: the first complaint is told if none leads anywhere.
            problem = problem or error
    raise problem or VtdpiError(_no_root_pointer(target, search))


def _dmar(target: Target, address: int, raw: bytes) -> Dmar:
    addresses = _tables(target, address, raw)
    headers = target.read_parts([(at, HEADER_SIZE) for at in addresses])
    for at, header in zip(addresses, headers, strict=True):
        if header is not None and header[:4] in SIGNATURES:
            return Dmar(at, _table(target, at))
    raise VtdpiError(f"no DMAR among the {len(addresses)} ACPI tables: this machine describes no VT-d unit")


def _tables(target: Target, address: int, raw: bytes) -> list[int]:
    """The addresses in the RSDT or XSDT. Revision 2 of the root pointer names both: the XSDT is preferred, unless it
    cannot be read and the RSDT can."""
    try:
        rsdp = RSDP.parse(raw)
    except ConstructError as error:
        raise VtdpiError(f"the ACPI root pointer at {address:#x} is not sound: {_first_line(error)}") from None
    extended = rsdp["extended"] and rsdp["extended"]["xsdt_address"]
    if not extended:
        return _root_table(target, RSDT, rsdp["rsdt_address"])
    try:
        return _root_table(target, XSDT, extended)
    except VtdpiError:
        try:
            return _root_table(target, RSDT, rsdp["rsdt_address"])
        except VtdpiError:
            pass
        raise


def _root_table(target: Target, schema: Construct, address: int) -> list[int]:
    raw = _table(target, address)
    wanted = b"XSDT" if schema is XSDT else b"RSDT"
    if raw[:4] != wanted:
        raise VtdpiError(f"there is no {wanted.decode()} at {address:#x}, where the ACPI root pointer says")
    try:
        return list(schema.parse(raw)["body"]["entries"])
    except ConstructError as error:
        raise VtdpiError(f"the ACPI root table at {address:#x} is not sound: {_first_line(error)}") from None


def _no_root_pointer(target: Target, searched: bool) -> str:
    where = "below 1 MiB"
    if searched and target.memory() and target.scannable:
        where = "below 4 GiB" if not alive(target) else "below 1 MiB, or in the last 64 MiB below 4 GiB"
    return f"no ACPI root pointer {where} (not part of this target, or firmware that keeps it elsewhere): no DMAR table"


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
