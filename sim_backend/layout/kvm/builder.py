"""What every part of a Linux's layout stands on: how its addresses translate, and its page tables.

Of the image only those pages are there that hold something: each lies at the virtual address at which it is linked.
"""

from __future__ import annotations

from sim_backend.layout.page_tables import CODE, DATA, READ_ONLY, map_range
from sim_backend.layout.structures import StructureWriter
from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import PAGE, Memory
from structs.xen.profile import Profile

MIB = 1 << 20
DIRECT_MAP = 0xFFFF_8880_0000_0000
"""`page_offset_base` without KASLR."""
TEXT, TEXT_SIZE = 0xFFFF_FFFF_8100_0000, 2 * MIB
"""As much of the code as is there: nothing of it is executed."""
TEXT_PLACE = 2 * MIB
MODULES = 0xFFFF_FFFF_C000_0000
"""MODULES_VADDR without KASLR."""


class LinuxBuilder(StructureWriter):
    """Physical memory, and the ways to address it as Linux does. Addresses are physical unless a name says virtual."""

    def __init__(self, profile: Profile, ram: int) -> None:
        super().__init__(profile, Memory(ram), Heap(TEXT_PLACE + TEXT_SIZE, ram))
        self.root = self.new_pages()
        """`swapper_pg_dir`."""
        self._places: dict[int, int] = {}
        """The physical page of each page of the image's data and of modules."""
        self._own: dict[int, int] = {}
        """The inverse: where such a page is addressed, rather than in the direct map."""
        self._module_next = MODULES
        map_range(self.memory, self.new_pages, self.root, TEXT, TEXT_PLACE, TEXT_SIZE, CODE)
        map_range(self.memory, self.new_pages, self.root, DIRECT_MAP, 0, ram, DATA)

    def virtual(self, physical: int) -> int:
        """Linux's own address of a byte of memory: in the image or a module, or in the direct map."""
        page = physical & -PAGE
        if page in self._own:
            return self._own[page] + (physical - page)
        if self.memory.is_ram(physical):
            return DIRECT_MAP + physical
        raise SimError(f"Linux does not map physical address {physical:#x}")

    def physical(self, virtual: int) -> int:
        """The inverse of `virtual`; all of memory is in the direct map as well."""
        if self.memory.is_ram(virtual - DIRECT_MAP):
            return virtual - DIRECT_MAP
        page = virtual & -PAGE
        if page in self._places:
            return self._places[page] + (virtual - page)
        if TEXT <= virtual < TEXT + TEXT_SIZE:
            return TEXT_PLACE + virtual - TEXT
        raise SimError(f"virtual address {virtual:#x} is neither in Linux's image or modules nor in its direct map")

    def map_image(self, virtual: int, size: int, writable: bool = True) -> int:
        """Let `size` bytes of the image be there; the physical address of the first, the rest follows it if all of
        them are new."""
        pages = range(virtual & -PAGE, virtual + size, PAGE)
        wanted = [page for page in pages if page not in self._places and not TEXT <= page < TEXT + TEXT_SIZE]
        places = self.new_pages(len(wanted)) if wanted else 0
        for at, page in enumerate(wanted):
            self._map(page, places + at * PAGE, writable)
        return self.physical(virtual)

    def new_module(self, size: int) -> int:
        """The virtual address of `size` zeroed bytes of a module."""
        start = self._module_next
        self.map_image(start, size)
        self._module_next = start + -(-size // PAGE) * PAGE
        return start

    def write_virtual(self, virtual: int, content: bytes) -> None:
        """Bytes at a virtual address, page by page."""
        at = 0
        while at < len(content):
            step = min(PAGE - (virtual + at) % PAGE, len(content) - at)
            self.memory.write(self.physical(virtual + at), content[at : at + step])
            at += step

    def text(self, content: str) -> int:
        """The virtual address of a string on the heap."""
        raw = content.encode() + b"\0"
        place = self.heap.small(self.memory, len(raw))
        self.memory.write(place, raw)
        return self.virtual(place)

    def made(self, struct: str, values: dict[str, int], more: int = 0) -> int:
        """A structure on the heap with these members, and `more` bytes behind it; its physical address."""
        place = self.heap.small(self.memory, self.size(struct) + more)
        self.put(struct, place, values)
        return place

    def _map(self, page: int, place: int, writable: bool) -> None:
        self._places[page], self._own[place] = place, page
        map_range(self.memory, self.new_pages, self.root, page, place, PAGE, DATA if writable else READ_ONLY)
