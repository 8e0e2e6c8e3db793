"""What the firmware told Xen: the ACPI root pointer, and the memory map.

Sources: `struct efi` (xen/include/xen/efi.h), `struct e820map` (xen/arch/x86/include/asm/e820.h).
"""

from __future__ import annotations

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.targets.ranges import Range
from inspector.xen.xen import Xen

EFI_ACPI, EFI_ACPI20 = 8, 16
"""Where in `struct efi` the addresses of the root pointers stand; all ones if there is none."""
NONE = (0, (1 << 64) - 1)
E820 = np.dtype([("address", "<u8"), ("size", "<u8"), ("type", "<u4")])
E820_LIMIT = 1024
ACPI_TYPES = (3, 4)
"""E820_ACPI and E820_NVS: memory that holds ACPI tables."""
AREA_LIMIT = 16 << 20


def acpi_roots(xen: Xen) -> list[int]:
    """The physical addresses of root pointers that UEFI told Xen, the newer revision's first; empty under a BIOS."""
    try:
        efi = xen.profile.symbol("efi")
        words = xen.array_at(efi + EFI_ACPI, 8, 2)
    except UNREADABLE:
        return []
    return [address for address in reversed(words) if address not in NONE]


def acpi_areas(xen: Xen) -> list[Range]:
    """The memory that the firmware's map says to hold ACPI tables (`e820_raw`); empty if that cannot be read."""
    try:
        table = xen.profile.symbol("e820_raw")
        count = xen.array_at(table, 4, 1)[0]
        if count > E820_LIMIT:
            return []
        entries = np.frombuffer(xen.memory.read(table + 4, count * E820.itemsize), E820)
    except UNREADABLE:
        return []
    chosen = entries[np.isin(entries["type"], ACPI_TYPES) & (entries["size"] <= AREA_LIMIT)]
    return [Range(int(entry["address"]), int(entry["address"] + entry["size"])) for entry in chosen]
