"""Where firmware leaves the ACPI root pointer (ACPI 5.2.5.1, 5.2.5.2).

A BIOS: in the EBDA or in the last 128 KiB below 1 MiB. UEFI hands its address to the operating system and keeps it
anywhere in RAM below 4 GiB, in the upper part as a rule, aligned to no more than 4 bytes in OVMF. So where the
address is not known, memory is searched for the signature, and the checksum tells what is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import finditer

from inspector.targets.ranges import Range
from inspector.targets.target import Target
from structs.acpi import RSDP_ALIGNMENT, checksum

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
    from inspector.targets.control import Control

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
