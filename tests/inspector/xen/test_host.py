"""Xen as what owns a machine's interrupts."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from inspector.targets.ranges import Range
from inspector.xen.host import AREA_LIMIT, E820_LIMIT, XenHost
from structs.xen.profile import Profile


def without(xen, *symbols: str):
    """The same Xen, of which some symbols are not known."""
    document = xen.profile.document
    known = {name: value for name, value in document["symbols"].items() if name not in symbols}
    return replace(xen, profile=Profile({**document, "symbols": known}))


def test_what_is_not_known_of_its_switches_is_told_and_the_rest_is_there(look):
    absent = []
    switches = XenHost(without(look(), "iommu_intpost", "pi_wakeup_vector")).switches(absent)
    assert switches.intpost is None
    assert switches.pi_wakeup_vector is None
    assert switches.intremap is True
    assert [(each.subject, each.member) for each in absent] == [
        ("iommu_intpost", "intpost"),
        ("pi_wakeup_vector", "pi_wakeup_vector"),
    ]


def test_each_part_of_the_machine_stands_without_the_others(look):
    absent = []
    machine = XenHost(without(look(), "per_cpu__vmx_pi_blocking")).machine(absent)
    assert machine.lists == ()
    assert len(machine.vcpus) == 4
    assert [each.member for each in absent] == ["lists"]


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
    assert XenHost(xen).acpi_areas() == [Range(0x7FE0_0000, 0x7FE0_1000), Range(0x7FF0_0000, 0x7FF0_2000)]


def test_one_that_is_too_large_to_be_looked_through_is_left_out():
    assert XenHost(e820((0, AREA_LIMIT + 1, ACPI))).acpi_areas() == []
    assert XenHost(e820((0, AREA_LIMIT, ACPI))).acpi_areas() == [Range(0, AREA_LIMIT)]


@pytest.mark.parametrize("count", [0, E820_LIMIT + 1, 0xFFFFFFFF])
def test_a_count_that_cannot_be_is_no_map(count):
    assert XenHost(e820((0, 0x1000, ACPI), count=count)).acpi_areas() == []


NONE = (1 << 64) - 1


@pytest.mark.parametrize(
    ("acpi", "acpi20", "roots"),
    [(0x1000, 0x2000, [0x2000, 0x1000]), (NONE, 0x2000, [0x2000]), (0x1000, 0, [0x1000]), (NONE, NONE, [])],
)
def test_the_newer_root_pointer_comes_first(acpi, acpi20, roots):
    assert XenHost(Xen(struct.pack("<QQQ", 0, acpi, acpi20))).acpi_roots() == roots


def test_a_build_without_the_variables_tells_nothing(look):
    """The simulated machine's layout has neither: it has a BIOS."""
    xen = look()
    assert XenHost(xen).acpi_roots() == []
    assert XenHost(xen).acpi_areas() == []
