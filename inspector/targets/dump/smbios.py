"""Where RAM is by the firmware's SMBIOS tables: their type 19 structures say which addresses memory has.

Sources: DMTF DSP0134 (5.2 entry points, 7.20 memory array mapped address); QEMU hw/smbios/smbios.c writes one a range.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise

from inspector.targets.ranges import Range

AREA = (0xF0000, 0x10000)
"""Physical addresses where a BIOS leaves the entry point, on a 16-byte boundary."""
MAPPED_ADDRESS = 19
_KIB = 1 << 10
_EXTENDED = 0xFFFFFFFF
"""As a start: start and end are bytes, in the structure's extended fields."""
_TABLE_LIMIT = 1 << 20

Read = Callable[[int, int], bytes]
"""Physical memory: address and size to bytes, fewer if not all are there."""


def ram(read: Read) -> list[Range]:
    """The ranges that the tables tell, ascending; empty if there are none, or they make no sense."""
    found = sorted(_mapped(_table(read)), key=lambda known: known.start)
    if any(one.end > other.start for one, other in pairwise(found)):
        return []
    return found


def _table(read: Read) -> bytes:
    area = read(*AREA)
    for at in range(0, len(area) - 31, 16):
        if area[at : at + 5] == b"_SM3_":
            size, address = struct.unpack_from("<IQ", area, at + 12)
        elif area[at : at + 4] == b"_SM_" and area[at + 16 : at + 21] == b"_DMI_":
            size, address = struct.unpack_from("<HI", area, at + 22)
        else:
            continue
        if table := read(address, min(size, _TABLE_LIMIT)):
            return table
    return b""


def _mapped(table: bytes) -> Iterator[Range]:
    """What the type 19 structures of a table say."""
    at = 0
    while at + 4 <= len(table):
        kind, length = table[at], table[at + 1]
        strings = table.find(b"\0\0", at + length)
        if length < 4 or strings < 0:
            return
        if kind == MAPPED_ADDRESS and length >= 15 and at + length <= len(table):
            start, last = struct.unpack_from("<II", table, at + 4)
            if start != _EXTENDED:
                yield Range(start * _KIB, (last + 1) * _KIB)
            elif length >= 31:
                first, end = struct.unpack_from("<QQ", table, at + 15)
                yield Range(first, end + 1)
        at = strings + 2
