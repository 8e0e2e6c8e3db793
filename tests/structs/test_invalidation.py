from __future__ import annotations

import pytest

from structs.invalidation import DESCRIPTOR, NAMES, WIDE_DESCRIPTOR


def nonzero(low: int, high: int = 0) -> dict[str, int]:
    raw = low.to_bytes(8, "little") + high.to_bytes(8, "little")
    values = DESCRIPTOR.parse(raw)
    assert WIDE_DESCRIPTOR.parse(raw + bytes(16))["type"] == values["type"]
    return {name: value for name, value in values.items() if value}


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0x1, 0, {"type": 1}),
        (3 << 48 | 0xFA << 32 | 7 << 16 | 3 << 4 | 1, 0, {"type": 1, "g": 3, "did": 7, "sid": 0xFA, "fm": 3}),
        (
            7 << 16 | 1 << 7 | 1 << 6 | 3 << 4 | 2,
            0x1234_5000 | 1 << 6 | 9,
            {"type": 2, "g": 3, "dw": 1, "dr": 1, "did": 7, "addr": 0x1234_5000, "ih": 1, "am": 9},
        ),
        (
            0x123 << 52 | 0xFA << 32 | 5 << 16 | 4 << 12 | 3,
            0x1234_5001,
            {"type": 3, "pfsid": 0x1234, "sid": 0xFA, "mip": 5, "s": 1, "addr": 0x1234_5000},
        ),
        (0x4, 0, {"type": 4}),
        (0x18 << 32 | 2 << 27 | 1 << 4 | 4, 0, {"type": 4, "g": 1, "im": 2, "iidx": 0x18}),
        (
            0xCAFE << 32 | 1 << 7 | 1 << 6 | 1 << 5 | 1 << 4 | 5,
            0x7A7F_0004,
            {"type": 5, "if": 1, "sw": 1, "fn": 1, "pd": 1, "status_data": 0xCAFE, "status_address": 0x7A7F_0004},
        ),
        (
            0x54321 << 32 | 7 << 16 | 3 << 4 | 6,
            0x1234_5000 | 1 << 6 | 9,
            {"type": 6, "g": 3, "did": 7, "pasid": 0x54321, "addr": 0x1234_5000, "ih": 1, "am": 9},
        ),
        (0x54321 << 32 | 7 << 16 | 1 << 4 | 7, 0, {"type": 7, "g": 1, "did": 7, "pasid": 0x54321}),
        (
            0x123 << 52 | 0x54321 << 32 | 0xFA << 16 | 4 << 12 | 5 << 4 | 8,
            0x1234_5000 | 1 << 11 | 1,
            {"type": 8, "pfsid": 0x1234, "pasid": 0x54321, "sid": 0xFA, "mip": 5, "g": 1, "s": 1, "addr": 0x1234_5000},
        ),
        (
            0x54321 << 32 | 0xFA << 16 | 1 << 12 | 1 << 4 | 9,
            3 << 3 | 1 << 2,
            {"type": 9, "pp": 1, "rc": 1, "rid": 0xFA, "pasid": 0x54321, "prgi": 3, "lpig": 1},
        ),
        (1 << 12 | 1 << 4 | 0xA, 0, {"type": 10, "undecoded_8_4": 1, "undecoded": 1}),
        (1 << 9 | 4, 1, {"type": 0x14, "undecoded": 1 << 52}),  # type bits 6:4 stand at 11:9: not an IEC
    ],
)
def test_layouts_by_hand(low: int, high: int, wanted: dict[str, int]) -> None:
    assert nonzero(low, high) == wanted


def test_reserved_bits_of_an_iec_are_reported() -> None:
    values = DESCRIPTOR.parse((4 | 1 << 5 | 1 << 26 | 1 << 63).to_bytes(8, "little") + bytes(8))
    assert DESCRIPTOR.cases[4].reserved(values) == {"rsvd_8_5": 1, "rsvd_26_12": 1 << 14, "rsvd_127_48": 1 << 15}


def test_upper_half_of_a_wide_descriptor_is_kept() -> None:
    raw = bytes([0x24]) + bytes(30) + b"\x80"
    values = WIDE_DESCRIPTOR.parse(raw)
    assert WIDE_DESCRIPTOR.record_of(raw).title == "interrupt entry cache"
    assert WIDE_DESCRIPTOR.cases[4].reserved(values) == {"rsvd_8_5": 1, "rsvd_255_48": 1 << 207}
    assert WIDE_DESCRIPTOR.cases[4].reserved(values) == {"rsvd_8_5": 1, "rsvd_255_48": 1 << 207}
    assert WIDE_DESCRIPTOR.build(values) == raw


def test_wide_descriptors_have_the_same_fields() -> None:
    for number in NAMES:
        narrow, wide = DESCRIPTOR.cases[number], WIDE_DESCRIPTOR.cases[number]
        named = {f.name: f.pieces for f in narrow.fields if not f.reserved and not f.name.startswith("undecoded")}
        assert named == {name: wide[name].pieces for name in named}
