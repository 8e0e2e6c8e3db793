"""What every part of Xen's layout stands on: a build's profile, memory, Xen's heap, and how addresses translate."""

from __future__ import annotations

from sim_backend.layout.structures import StructureWriter
from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import Memory
from structs.xen.profile import Profile

MIB = 1 << 20
IMAGE_ALIGNMENT = 2 * MIB
DIRECT_MAP = 0xFFFF_8300_0000_0000
VMAP = 0xFFFF_82C0_0000_0000

PHYS_START = 2 * MIB
"""`xen_phys_start`: the image's 1 GiB of virtual addresses begin here; the image itself lies 2 MiB above."""


class LayoutBuilder(StructureWriter):
    """Physical memory, and the ways to address it as Xen does. Addresses are physical unless a name says virtual.

    Raises SimError for symbols and members that the profile does not have, and for addresses outside.
    """

    def __init__(self, profile: Profile, ram: int, high: int = 0) -> None:
        self.image_start = profile.symbol("_start") & ~((1 << 30) - 1)
        self.image_size = -(-(profile.symbol("_end") - self.image_start) // IMAGE_ALIGNMENT) * IMAGE_ALIGNMENT
        super().__init__(profile, Memory(ram, high), Heap(PHYS_START + self.image_size, ram))
        self.vcpu_heap = self.heap

    def virtual(self, physical: int) -> int:
        """Xen's own address of a byte of memory: in the image, or in the direct map."""
        if PHYS_START + IMAGE_ALIGNMENT <= physical < PHYS_START + self.image_size:
            return self.image_start + physical - PHYS_START
        if self.memory.is_ram(physical):
            return DIRECT_MAP + physical
        raise SimError(f"Xen does not map physical address {physical:#x}")

    def physical(self, virtual: int) -> int:
        """The inverse of `virtual`; the image's bytes are in the direct map as well."""
        if self.image_start + IMAGE_ALIGNMENT <= virtual < self.image_start + self.image_size:
            return PHYS_START + virtual - self.image_start
        if self.memory.is_ram(virtual - DIRECT_MAP):
            return virtual - DIRECT_MAP
        raise SimError(f"virtual address {virtual:#x} is neither in Xen's image nor in its direct map")
