"""x86-64 page tables in physical memory: virtual addresses to physical ones (Intel SDM volume 3, 4-level paging)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspector.base.errors import NotReadable, VtdpiError
from inspector.targets.target import Target

PAGE = 0x1000
ADDRESS = 0x000F_FFFF_FFFF_F000
PRESENT = 1
LARGE = 1 << 7
LEVELS = (39, 30, 21, 12)
FIVE_LEVELS = (48, *LEVELS)
"""Of a CPU whose CR4.LA57 is set."""


class NotMapped(VtdpiError):
    """A virtual address that these page tables do not map."""

    def __init__(self, address: int, why: str) -> None:
        super().__init__(f"virtual address {address:#x} cannot be translated: {why}")
        self.address = address


class PageTables:
    """The address space that the table at physical address `root` describes, of level 4, or 5 with FIVE_LEVELS.

    Table pages that were read are kept: make a new object when the machine has run.
    """

    def __init__(self, target: Target, root: int, levels: Sequence[int] = LEVELS) -> None:
        self.target = target
        self.levels = levels
        self.root = root & ADDRESS
        self._tables: dict[int, np.ndarray] = {}

    def translate(self, address: int) -> int:
        """The physical address of a virtual one, through 4 KiB, 2 MiB or 1 GiB pages.

        Raises:
            NotMapped: not canonical, an entry on the way is not present, or a table cannot be read.
        """
        return self._walk(address)[0]

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at a virtual address.

        Raises:
            NotMapped, NotReadable: part of it is not there.
        """
        pieces = self.pieces(address, size)
        if len(pieces) == 1:
            return self.target.read(*pieces[0])
        parts = self.target.read_parts(pieces)
        for part, (physical, length) in zip(parts, pieces, strict=True):
            if part is None:
                self.target.read(physical, length)
        return b"".join(part for part in parts if part is not None)

    def read_parts(self, wanted: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """Many reads `(address, size)` in one go: as `read`, but None where that would raise."""
        plans: list[list[tuple[int, int]] | None] = []
        for address, size in wanted:
            try:
                plans.append(self.pieces(address, size))
            except NotMapped:
                plans.append(None)
        parts = iter(self.target.read_parts([piece for plan in plans if plan is not None for piece in plan]))
        answers: list[bytes | None] = []
        for plan in plans:
            got = [next(parts) for _ in plan] if plan is not None else [None]
            answers.append(None if None in got else b"".join(part for part in got if part is not None))
        return answers

    def pieces(self, address: int, size: int) -> list[tuple[int, int]]:
        """The physical ranges `(address, size)` behind a virtual one, neighbours joined. Raises NotMapped."""
        pieces: list[tuple[int, int]] = []
        while size > 0:
            physical, left = self._walk(address)
            length = min(size, left)
            if pieces and sum(pieces[-1]) == physical:
                pieces[-1] = (pieces[-1][0], pieces[-1][1] + length)
            else:
                pieces.append((physical, length))
            address += length
            size -= length
        return pieces

    def entry(self, address: int, level: int) -> int:
        """The entry that leads to a virtual address in the tables of a level, which is one of LEVELS; 0 if a table
        above it has none. Raises NotMapped if a table cannot be read.
        """
        table = self.root
        for shift in self.levels:
            entry = int(self.table(table, address)[address >> shift & 0x1FF])
            if shift == level or not entry & PRESENT or entry & LARGE:
                return entry if shift == level else 0
            table = entry & ADDRESS
        return 0

    def _walk(self, address: int) -> tuple[int, int]:
        """The physical address, and how many bytes from there lie in the same page."""
        top = self.levels[0] + 8
        if not 0 <= address < 1 << 64 or (address >> top) not in (0, (1 << 64 - top) - 1):
            raise NotMapped(address, "it is not canonical")
        table = self.root
        for shift in self.levels:
            entry = int(self.table(table, address)[address >> shift & 0x1FF])
            if not entry & PRESENT:
                raise NotMapped(address, f"its entry {entry:#x} in the table at {table:#x} is not present")
            if shift == 12 or (entry & LARGE and shift < 39):
                offset = address & ((1 << shift) - 1)
                return (entry & ADDRESS & ~((1 << shift) - 1)) | offset, (1 << shift) - offset
            table = entry & ADDRESS
        raise AssertionError("the last level always ends the walk")

    def table(self, table: int, address: int = 0) -> np.ndarray:
        """The entries of the table at a physical address. Raises NotMapped, for `address`, if it cannot be read."""
        if table not in self._tables:
            try:
                self._tables[table] = np.frombuffer(self.target.read(table, PAGE), "<u8")
            except NotReadable as error:
                raise NotMapped(address, f"its page table at {table:#x} cannot be read ({error.why})") from None
        return self._tables[table]


def roots_in_use(target: Target) -> list[int]:
    """The level-4 tables to look at first: the one that a crashed Xen's notes name, then those that the CPUs use."""
    named = [target.crash.root] if target.crash and target.crash.root is not None else []
    return [*named, *sorted({cpu.registers["cr3"] & ADDRESS for cpu in target.cpus() if cpu.registers.get("cr3")})]
