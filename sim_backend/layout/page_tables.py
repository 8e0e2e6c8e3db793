"""x86-64 page tables, written and walked (Intel SDM volume 3, 4-level paging)."""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory

PRESENT, WRITABLE, ACCESSED, DIRTY, LARGE, GLOBAL = 1, 1 << 1, 1 << 5, 1 << 6, 1 << 7, 1 << 8
NO_EXECUTE = 1 << 63
TABLE = PRESENT | WRITABLE | ACCESSED | DIRTY
READ_ONLY = PRESENT | ACCESSED | GLOBAL | NO_EXECUTE
DATA = READ_ONLY | WRITABLE | DIRTY
CODE = PRESENT | ACCESSED | GLOBAL

ADDRESS = 0x000F_FFFF_FFFF_F000
SIZES = {1 << 30: 30, 2 << 20: 21, PAGE: 12}
LEVELS = (39, 30, 21, 12)


def map_range(
    memory: Memory, new_table: Callable[[], int], root: int, virtual: int, physical: int, size: int, flags: int
) -> None:
    """Map `size` bytes with the largest pages that fit. All are multiples of 4096; `new_table` gives zeroed pages."""
    end = virtual + size
    while virtual < end:
        page = next(p for p in SIZES if virtual % p == 0 and physical % p == 0 and virtual + p <= end)
        slot = _slot(memory, new_table, root, virtual, SIZES[page])
        memory.set_u64(slot, physical | flags | (LARGE if page > PAGE else 0))
        virtual += page
        physical += page


def map_small(
    memory: Memory, new_table: Callable[[], int], root: int, virtual: int, physical: int, size: int, flags: int
) -> None:
    """As `map_range`, with pages of 4 KiB only: those of one table are written at once."""
    end = virtual + size
    while virtual < end:
        slot = _slot(memory, new_table, root, virtual, SIZES[PAGE])
        count = min((end - virtual) // PAGE, (PAGE - slot % PAGE) // 8)
        pages = range(physical, physical + count * PAGE, PAGE)
        memory.write(slot, b"".join((page | flags).to_bytes(8, "little") for page in pages))
        virtual += count * PAGE
        physical += count * PAGE


def translate(memory: Memory, root: int, virtual: int) -> int:
    """The physical address of a virtual one.

    Raises:
        SimError: it is not canonical or not mapped.
    """
    if virtual >> 47 not in (0, 0x1FFFF):
        raise SimError(f"virtual address {virtual:#x} is not canonical")
    table = root
    for shift in LEVELS:
        entry = memory.u64(table + (virtual >> shift & 0x1FF) * 8)
        if not entry & PRESENT:
            raise SimError(f"virtual address {virtual:#x} is not mapped")
        if shift == 12 or (entry & LARGE and shift < 39):
            inside = (1 << shift) - 1
            return entry & ADDRESS & ~inside | virtual & inside
        table = entry & ADDRESS
    raise AssertionError("the last level always ends the walk")


def _slot(memory: Memory, new_table: Callable[[], int], root: int, virtual: int, leaf: int) -> int:
    table = root
    for shift in LEVELS:
        slot = table + (virtual >> shift & 0x1FF) * 8
        if shift == leaf:
            return slot
        if not memory.u64(slot):
            memory.set_u64(slot, new_table() | TABLE)
        table = memory.u64(slot) & ADDRESS
    raise AssertionError("a leaf is at one of the levels")
