"""The ACPI root pointer where UEFI keeps it: anywhere below 4 GiB."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspector.base.errors import VtdpiError
from inspector.targets.open_file import open_file
from inspector.targets.ranges import Range
from inspector.vtd import root_pointer
from inspector.vtd.acpi import find_dmar

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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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

    monkeypatch.setattr(root_pointer, "by_search", searched)
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
