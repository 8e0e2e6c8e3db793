from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.msi import (
    ADDRESS,
    COMPATIBILITY_ADDRESS,
    COMPATIBILITY_DATA,
    REMAPPABLE_ADDRESS,
    REMAPPABLE_DATA,
    index,
    is_remappable,
)


def test_compatibility_by_hand() -> None:
    # 31:20 fee, 19:12 destination 0x0a, bit 3 RH, bit 2 DM
    raw = (0xFEE0_A00C).to_bytes(8, "little")
    assert ADDRESS.record_of(raw) is COMPATIBILITY_ADDRESS
    assert ADDRESS.parse(raw) == {
        "dontcare": 0, "dm": 1, "rh": 1, "format": 0, "rsvd_11_5": 0, "dst": 0x0A, "prefix": 0xFEE, "rsvd_63_32": 0,
    }  # fmt: skip
    assert COMPATIBILITY_DATA.parse((0xC130).to_bytes(4, "little")) == {
        "vector": 0x30, "dlm": 1, "rsvd_13_11": 0, "level": 1, "tm": 1, "rsvd_31_16": 0,
    }  # fmt: skip


def test_remappable_by_hand() -> None:
    # handle 0x801b: bits 14:0 = 0x1b at 19:5 (0x360), bit 15 at bit 2 (0x4); SHV bit 3; format bit 4
    raw = (0xFEE0_0360 | 0x4 | 0x8 | 0x10).to_bytes(8, "little")
    assert ADDRESS.record_of(raw) is REMAPPABLE_ADDRESS
    assert ADDRESS.parse(raw) == {
        "dontcare": 0, "handle": 0x801B, "shv": 1, "format": 1, "prefix": 0xFEE, "rsvd_63_32": 0,
    }  # fmt: skip
    assert REMAPPABLE_DATA.parse(bytes.fromhex("02000100")) == {"subhandle": 2, "rsvd_31_16": 1}


def test_address_high_is_part_of_the_address() -> None:
    raw = (0x1_FEE0_0010).to_bytes(8, "little")
    assert REMAPPABLE_ADDRESS.reserved(ADDRESS.parse(raw)) == {"rsvd_63_32": 1}


@pytest.mark.parametrize(
    ("address", "data", "wanted"),
    [
        (0xFEE0_0310, 0x0000, 24),  # SHV=0
        (0xFEE0_0310, 0xFFFF, 24),  # SHV=0: data is ignored
        (0xFEE0_0318, 0x0003, 27),  # SHV=1
        (0xFEEF_FFFC, 0xFFFF, 0x1FFFE),  # beyond every table
    ],
)
def test_index(address: int, data: int, wanted: int) -> None:
    assert index(address, data) == wanted


def test_compatibility_has_no_index() -> None:
    assert not is_remappable(0xFEE0_A00C)
    with pytest.raises(ValueError, match="compatibility"):
        index(0xFEE0_A00C, 0)


@given(st.integers(0, 0xFFFF))
def test_index_reads_what_build_writes(wanted: int) -> None:
    raw = REMAPPABLE_ADDRESS.build({"prefix": 0xFEE, "format": 1, "shv": 1, "handle": wanted})
    assert index(int.from_bytes(raw, "little"), 0) == wanted
