"""The way to the DMAR table, sound and broken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import VtdpiError
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range
from inspector.vtd import acpi
from inspector.vtd.acpi import find_dmar

RSDP_AT, RSDT_AT, DMAR_AT = 0xF5A80, 0x7E0000, 0x7E1000


def find(image):
    with open_file(image.path) as target:
        return find_dmar(target)


def test_found_under_each_of_its_names(image):
    for name in (b"DMAR", b"RMAD", b"XMAR"):
        image.put(DMAR_AT, name)
        address, table = find(image)
        assert (address, table["signature"]) == (DMAR_AT, name)


def test_an_xsdt_is_preferred(image):
    xsdt = b"XSDT" + struct.pack("<IBB", 44, 1, 0) + bytes(26) + struct.pack("<Q", DMAR_AT)
    image.put(0x7E3000, xsdt)
    rsdp = bytearray(b"RSD PTR \0VTDPI \2" + bytes(4) + struct.pack("<IQB", 36, 0x7E3000, 0) + bytes(3))
    rsdp[8] = -sum(rsdp[:20]) & 0xFF
    image.put(RSDP_AT, bytes(rsdp))
    image.put(RSDT_AT, bytes(36))
    assert find(image)[0] == DMAR_AT


@pytest.mark.parametrize("xsdt", [0x1_0000_0000_0000, 0x7E3000])
def test_without_a_readable_xsdt_the_rsdt_serves(image, xsdt):
    """Not in memory, or something else is there."""
    rsdp = bytearray(b"RSD PTR \0VTDPI \2" + struct.pack("<IIQB", RSDT_AT, 36, xsdt, 0) + bytes(3))
    rsdp[8] = -sum(rsdp[:20]) & 0xFF
    image.put(RSDP_AT, bytes(rsdp))
    assert find(image)[0] == DMAR_AT
    image.put(RSDT_AT, bytes(36))
    with pytest.raises(VtdpiError, match=r"an ACPI table cannot be read|claims 0 bytes"):
        find(image)


def test_a_pointer_with_a_wrong_checksum_is_passed_over(image):
    image.put(RSDP_AT, b"RSD PTR \xff")
    with pytest.raises(VtdpiError, match="no ACPI root pointer"):
        find(image)


def test_the_pointer_may_lie_in_the_ebda(image):
    with image.path.open("rb") as file:
        file.seek(RSDP_AT)
        pointer = file.read(20)
    image.put(RSDP_AT, bytes(20))
    image.put(0x40E, (0x9FC00 >> 4).to_bytes(2, "little"))
    image.put(0x9FC10, pointer)
    assert find(image)[0] == DMAR_AT


@pytest.mark.parametrize(
    ("address", "content", "message"),
    [
        (RSDP_AT, bytes(8), "no ACPI root pointer"),
        (RSDT_AT + 4, b"\xff\xff\xff\xff", "not a sound table"),
        (RSDT_AT + 4, bytes(4), "not a sound table"),
        (RSDT_AT + 36, b"\0\0\0\xf0", "no DMAR among the 1 ACPI tables"),
        (DMAR_AT, b"MCFG", "no DMAR among the 1 ACPI tables"),
        (DMAR_AT + 4, b"\x25\0\0\0", "not sound"),
    ],
)
def test_broken_tables_are_one_clear_line(image, address, content, message):
    image.put(address, content)
    with pytest.raises(VtdpiError) as error:
        find(image)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_structures_that_are_not_sound_are_kept_and_said(image, run):
    image.put(DMAR_AT + 50, b"\0\0")
    answer = run("dump", image.path, "dmar")
    assert answer.status == 3
    assert "32 bytes that are no sound structure" in answer.err


@given(st.sampled_from([RSDP_AT, RSDT_AT, DMAR_AT]), st.integers(0, 79), st.binary(min_size=1, max_size=16))
def test_any_damage_gives_an_answer_or_one_error(image, table, at, damage):
    with image.path.open("r+b") as file:
        file.seek(table + at)
        before = file.read(len(damage))
        file.seek(table + at)
        file.write(damage)
    said = ""
    try:
        find(image)
    except VtdpiError as error:
        said = str(error)
    finally:
        image.put(table + at, before)
    assert "\n" not in said


RSDP_AT, DMAR_AT = 0xF5A80, 0x7E1000


def moved(image, *places: int) -> bytes:
    """Take the root pointer from where the BIOS had it, and put it elsewhere."""
    with image.path.open("rb") as file:
        file.seek(RSDP_AT)
        pointer = file.read(20)
    image.put(RSDP_AT, bytes(20))
    for place in places:
        image.put(place, pointer)
    return pointer


@given(place=st.integers(0x100000 // 4, (0xFED90000 - 64) // 4).map(lambda number: number * 4))
def test_found_wherever_it_is(image, place):
    pointer = moved(image, place)
    with open_file(image.path) as target:
        assert find_dmar(target)[0] == DMAR_AT
    image.put(place, bytes(20))
    image.put(RSDP_AT, pointer)


@pytest.mark.parametrize("place", [0x7FFFFC, 0x800000 - 8, 0x7FFFF0])
def test_found_across_the_pieces_in_which_memory_is_read(image, place):
    moved(image, place)
    with open_file(image.path) as target:
        assert find_dmar(target)[0] == DMAR_AT


def test_where_it_is_known_to_be_nothing_is_searched(image, monkeypatch):
    moved(image, 0x777D014)

    def searched(target):
        pytest.fail("memory was searched")
        yield

    monkeypatch.setattr(acpi, "by_search", searched)
    with open_file(image.path) as target:
        assert find_dmar(target, roots=[0x777D014])[0] == DMAR_AT
        assert find_dmar(target, areas=[Range(0x777D000, 0x777E000)])[0] == DMAR_AT
        with pytest.raises(VtdpiError, match="no ACPI root pointer below 1 MiB"):
            find_dmar(target, roots=[0x777E000], search=False)


def test_a_stale_copy_that_leads_nowhere_does_not_hide_the_real_one(image):
    moved(image, 0x500000)
    stale = bytearray(b"RSD PTR \0VTDPI \0" + (0x123000).to_bytes(4, "little"))
    stale[8] = -sum(stale) & 0xFF
    image.put(0x600000, bytes(stale))
    with open_file(image.path) as target:
        assert find_dmar(target)[0] == DMAR_AT
