from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.dump import smbios
from inspector.targets.ranges import Range

TABLE_AT = 0xF5000


def memory(structures: bytes, version: int = 2) -> bytearray:
    """The first MiB of a machine whose BIOS left these structures."""
    raw = bytearray(1 << 20)
    raw[TABLE_AT : TABLE_AT + len(structures)] = structures
    if version == 3:
        raw[0xF4000:0xF4018] = b"_SM3_" + bytes(7) + struct.pack("<IQ", len(structures), TABLE_AT)
    else:
        raw[0xF4000:0xF401F] = (
            b"_SM_".ljust(16, b"\0") + b"_DMI_\0" + struct.pack("<HIHB", len(structures), TABLE_AT, 3, 0)
        )
    return raw


def mapped(start: int, end: int) -> bytes:
    """A type 19 structure: by KiB where they suffice, else by its extended fields."""
    kib = end <= 1 << 42
    numbers = (start >> 10, (end >> 10) - 1) if kib else (0xFFFFFFFF, 0xFFFFFFFF)
    more = struct.pack("<QQ", 0, 0) if kib else struct.pack("<QQ", start, end - 1)
    return struct.pack("<BBHIIHB", 19, 31, 1, *numbers, 2, 1) + more + b"\0\0"


BIOS = struct.pack("<BBH", 0, 24, 0).ljust(24, b"\1") + b"SeaBIOS\0second\0\0"
END = struct.pack("<BBH", 127, 4, 9) + b"\0\0"


def read(raw: bytes) -> smbios.Read:
    return lambda address, size: bytes(raw[address : address + size])


def test_ranges_as_qemu_tells_them() -> None:
    table = BIOS + mapped(0, 2 << 30) + mapped(4 << 30, 5 << 30) + END
    for version in (2, 3):
        assert smbios.ram(read(memory(table, version))) == [Range(0, 2 << 30), Range(4 << 30, 5 << 30)]


def test_beyond_what_kib_can_say() -> None:
    assert smbios.ram(read(memory(mapped(1 << 43, 1 << 44) + END))) == [Range(1 << 43, 1 << 44)]


def test_ranges_that_overlap_tell_nothing() -> None:
    assert smbios.ram(read(memory(mapped(0, 2 << 30) + mapped(1 << 30, 3 << 30) + END))) == []


@given(st.binary(max_size=80), st.integers(2, 3))
def test_garbage_tells_nothing_bad(garbage: bytes, version: int) -> None:
    for found in smbios.ram(read(memory(garbage, version))):
        assert found.size > 0
    assert smbios.ram(read(garbage)) == []
