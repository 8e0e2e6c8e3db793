"""The image of a Linux as page tables map it: where it is, and its read-only data.

Source: Documentation/arch/x86/x86_64/mm.rst (kernel text mapping), arch/x86/include/asm/page_64_types.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import ADDRESS, LARGE, PAGE, PRESENT, PageTables
from structs.frozen import frozen

START, END = 0xFFFFFFFF80000000, 0xFFFFFFFFC0000000
"""__START_KERNEL_map and the end of what KERNEL_IMAGE_SIZE leaves for the image, wherever KASLR puts it."""
LARGE_PAGE = 2 << 20
WRITABLE, NOT_EXECUTABLE = 1 << 1, 1 << 63
SMALLEST, LARGEST = 1 << 20, 256 << 20
"""Bytes that an image has."""


@frozen
class Stretch:
    """Neighbouring pages with the same rights: virtual address and size."""

    address: int
    size: int
    writable: bool
    executable: bool


class Image:
    """What page tables map where a Linux's image is."""

    def __init__(self, tables: PageTables) -> None:
        self.tables = tables

    @cached_property
    def stretches(self) -> list[Stretch]:
        """All of it, ascending."""
        found: list[Stretch] = []
        for address, size, entry in self._pages():
            rights = bool(entry & WRITABLE), not entry & NOT_EXECUTABLE
            last = found[-1] if found else None
            if last and last.address + last.size == address and (last.writable, last.executable) == rights:
                found[-1] = Stretch(last.address, last.size + size, *rights)
            else:
                found.append(Stretch(address, size, *rights))
        return found

    @property
    def is_whole(self) -> bool:
        """Whether so much is mapped as a kernel has, and not the few pages that a user's page tables have of it."""
        return SMALLEST <= sum(stretch.size for stretch in self.stretches) <= LARGEST

    @property
    def text(self) -> int:
        """Where it starts."""
        return self.stretches[0].address

    def read_only(self) -> Iterator[tuple[int, bytes]]:
        """Address and bytes of what is neither code nor to be written, the largest stretches first; then the rest.

        A kernel that does not protect its data (`rodata=off`) has all in what comes later.
        """
        quiet = [stretch for stretch in self.stretches if not stretch.writable and not stretch.executable]
        others = [stretch for stretch in self.stretches if stretch not in quiet]
        for stretch in sorted(quiet, key=lambda each: -each.size) + sorted(others, key=lambda each: -each.size):
            yield from self._readable(stretch)

    def _readable(self, stretch: Stretch) -> Iterator[tuple[int, bytes]]:
        """What of a stretch is there, neighbours joined."""
        whole = self.tables.read_parts([(stretch.address, stretch.size)])[0]
        if whole is not None:
            yield stretch.address, whole
            return
        places = [(at, PAGE) for at in range(stretch.address, stretch.address + stretch.size, PAGE)]
        start, run = stretch.address, []
        for (address, _), part in zip(places, self.tables.read_parts(places), strict=True):
            if part is not None:
                run.append(part)
                continue
            if run:
                yield start, b"".join(run)
            start, run = address + PAGE, []
        if run:
            yield start, b"".join(run)

    def _pages(self) -> Iterator[tuple[int, int, int]]:
        """Address, size and entry of each page that is mapped."""
        for address in range(START, END, LARGE_PAGE):
            try:
                directory = self.tables.entry(address, 21)
                if directory & PRESENT and directory & LARGE:
                    yield address, LARGE_PAGE, directory
                elif directory & PRESENT:
                    entries = self.tables.table(directory & ADDRESS).tolist()
                    yield from (
                        (address + at * PAGE, PAGE, entry) for at, entry in enumerate(entries) if entry & PRESENT
                    )
            except UNREADABLE:
                continue
