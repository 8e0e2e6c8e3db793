"""What the firmware told Xen, from its own copies of it."""

from __future__ import annotations

import struct

import pytest

from inspector.targets.ranges import Range
from inspector.xen.firmware import AREA_LIMIT, E820_LIMIT, acpi_areas, acpi_roots

RAM, RESERVED, ACPI, NVS = 1, 2, 3, 4
MAP = 0x70_0000


class Memory:
    """Bytes at MAP."""

    def __init__(self, content):
        self.content = content

    def read(self, address, size):
        return self.content[address - MAP : address - MAP + size]


class Xen:
    """A Xen whose variables `e820_raw` and `efi` lie at MAP."""

    def __init__(self, content):
        self.memory, self.profile = Memory(content), self

    def symbol(self, name):
        return MAP

    def array_at(self, address, size, count):
        raw = self.memory.read(address, size * count)
        return [int.from_bytes(raw[at : at + size], "little") for at in range(0, size * count, size)]


def e820(*entries, count=None):
    packed = b"".join(struct.pack("<QQI", *entry) for entry in entries)
    return Xen(struct.pack("<I", len(entries) if count is None else count) + packed)


def test_areas_are_those_that_may_hold_tables():
    xen = e820((0, 0x9F000, RAM), (0x7FE0_0000, 0x1000, ACPI), (0x7FF0_0000, 0x2000, NVS), (1 << 32, 0x1000, RESERVED))
    assert acpi_areas(xen) == [Range(0x7FE0_0000, 0x7FE0_1000), Range(0x7FF0_0000, 0x7FF0_2000)]


def test_one_that_is_too_large_to_be_looked_through_is_left_out():
    assert acpi_areas(e820((0, AREA_LIMIT + 1, ACPI))) == []
    assert acpi_areas(e820((0, AREA_LIMIT, ACPI))) == [Range(0, AREA_LIMIT)]


@pytest.mark.parametrize("count", [0, E820_LIMIT + 1, 0xFFFFFFFF])
def test_a_count_that_cannot_be_is_no_map(count):
    assert acpi_areas(e820((0, 0x1000, ACPI), count=count)) == []


NONE = (1 << 64) - 1


@pytest.mark.parametrize(
    ("acpi", "acpi20", "roots"),
    [(0x1000, 0x2000, [0x2000, 0x1000]), (NONE, 0x2000, [0x2000]), (0x1000, 0, [0x1000]), (NONE, NONE, [])],
)
def test_the_newer_root_pointer_comes_first(acpi, acpi20, roots):
    assert acpi_roots(Xen(struct.pack("<QQQ", 0, acpi, acpi20))) == roots


def test_a_build_without_the_variables_tells_nothing(look):
    """The simulated machine's layout has neither: it has a BIOS."""
    xen = look()
    assert acpi_roots(xen) == []
    assert acpi_areas(xen) == []
