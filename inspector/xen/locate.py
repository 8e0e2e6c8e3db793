"""Where a Xen lies in a target's memory, whatever build it is: by page tables, or by the header that starts its image.

Sources: xen/arch/x86/boot/head.S (the Multiboot header), xen/arch/x86/setup.c (which moves the image up), and
LINEAR_PT_VIRT_START in xen/arch/x86/include/asm/config.h.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import ADDRESS, LARGE, PAGE, PRESENT, PageTables, roots_in_use
from inspector.profiles.image import END, START, Image
from inspector.targets.ranges import Range, Ranges
from inspector.targets.target import Target
from structs.frozen import frozen
from structs.xen.variants import IMAGE_BASES

ALIGNMENT = 2 << 20

LINEAR_SLOT = 258
"""The level-4 slot through which each of Xen's page tables maps itself."""
SCAN_BYTES = 4 << 20
PROBED_WITHOUT_A_MAP = Range(1 << 20, 2 << 30)
"""Where RAM is not known, no more than what PCs have RAM in: a read of a device may have an effect."""

HEADER_SIZE = 64
MULTIBOOT = 0x1BADB002
"""Within the first bytes of the image, followed by flags and a checksum: the three add up to 0."""


@frozen
class Located:
    """An image of Xen, and page tables that map it."""

    image: Image
    tables: PageTables


def locate(target: Target) -> Located | None:
    """The Xen of whatever build; None if there is none."""
    if found := in_use(target):
        return found
    return _by_header(target) or next(filter(None, (_mapped_by(target, root) for root in roots_by_scan(target))), None)


def in_use(target: Target) -> Located | None:
    """The Xen that the page tables in use map; None if they map none."""
    return next(filter(None, (_mapped_by(target, root) for root in roots_in_use(target))), None)


def image_starts(target: Target) -> list[int]:
    """The 2 MiB boundaries of RAM, on one of which the image's virtual addresses start.

    The image itself lies 2 MiB above; what is below it may be left out of a dump, or a hole in a file.
    """
    boundaries = Ranges.of(target.memory() or (PROBED_WITHOUT_A_MAP,)).multiples(ALIGNMENT)
    return sorted({*boundaries, *(boundary - ALIGNMENT for boundary in boundaries if boundary)})


def roots_by_scan(target: Target, within: Sequence[Range] | None = None) -> Iterator[int]:
    """Physical addresses of all level-4 tables that map themselves as Xen's do; none where a scan costs too much."""
    for known in (target.memory() if within is None else within) or () if target.scannable or within else ():
        for start in range(known.start + PAGE - 1 & ~(PAGE - 1), known.end - PAGE + 1, SCAN_BYTES):
            size = min(SCAN_BYTES, known.end - start) & ~(PAGE - 1)
            entries = np.frombuffer(target.read(start, size), "<u8").reshape(-1, PAGE // 8)[:, LINEAR_SLOT]
            pages = np.arange(start, start + size, PAGE, dtype=np.uint64)
            own = (entries & np.uint64(ADDRESS) == pages) & (entries & np.uint64(PRESENT) == PRESENT)
            yield from pages[own].tolist()


def _mapped_by(target: Target, root: int) -> Located | None:
    tables = PageTables(target, root)
    try:
        found = mapped(tables)
    except UNREADABLE:
        return None
    return Located(found, tables) if found and found.build_id else None


def _by_header(target: Target) -> Located | None:
    """By the start of the image, where code is in memory; and by a table in it that maps it and itself."""
    starts = image_starts(target)
    heads = target.read_parts([(start + START, HEADER_SIZE) for start in starts])
    # From the top: Xen moves itself up at boot and leaves the copy that was loaded behind.
    for start, head in zip(reversed(starts), reversed(heads), strict=True):
        if head is None or not _is_header(head):
            continue
        for root in roots_by_scan(target, _readable(target, start)):
            if found := _mapped_by(target, root):
                return found
    return None


def _is_header(head: bytes) -> bool:
    words = np.frombuffer(head, "<u4").astype(np.int64)
    sums = words[:-2] + words[1:-1] + words[2:] & 0xFFFFFFFF
    return bool(((words[:-2] == MULTIBOOT) & (sums == 0)).any())


def _readable(target: Target, start: int) -> list[Range]:
    """The pages of the image at `start` that are there, as ranges."""
    wanted = [(start + at, PAGE) for at in range(START, END, PAGE)]
    parts = target.read_parts(wanted)
    return [Range(at, at + size) for (at, size), part in zip(wanted, parts, strict=True) if part is not None]


def mapped(tables: PageTables) -> Image | None:
    """The image that these page tables map; None if they map none."""
    for base in IMAGE_BASES:
        parts: list[tuple[int, bytes]] = []
        for address, size in _extents(tables, base):
            raw = tables.read_parts([(address, size)])[0]
            # What a dump leaves out of a large page need not be asked for page by page if all of it is there.
            pieces = [(address, raw)] if raw is not None else _pages(tables, address, size)
            for at, piece in pieces:
                if parts and parts[-1][0] + len(parts[-1][1]) == at:
                    parts[-1] = (parts[-1][0], parts[-1][1] + piece)
                else:
                    parts.append((at, piece))
        if parts:
            return Image(base, tuple(parts))
    return None


def _extents(tables: PageTables, base: int) -> list[tuple[int, int]]:
    """The mapped stretches of the image, virtual address and size, neighbours joined."""
    found: list[tuple[int, int]] = []
    for address in range(base + START, base + END, 2 << 20):
        try:
            directory = tables.entry(address, 21)
        except UNREADABLE:
            continue
        if not directory & PRESENT:
            continue
        if directory & LARGE:
            chunks = [(address, 2 << 20)]
        else:
            entries = tables.table(directory & ADDRESS)
            chunks = [(address + at * PAGE, PAGE) for at, entry in enumerate(entries.tolist()) if entry & PRESENT]
        for chunk in chunks:
            if found and sum(found[-1]) == chunk[0]:
                found[-1] = (found[-1][0], found[-1][1] + chunk[1])
            else:
                found.append(chunk)
    return found


def _pages(tables: PageTables, address: int, size: int) -> list[tuple[int, bytes]]:
    places = [(address + at, PAGE) for at in range(0, size, PAGE)]
    parts = zip(places, tables.read_parts(places), strict=True)
    return [(at, part) for (at, _), part in parts if part is not None]
