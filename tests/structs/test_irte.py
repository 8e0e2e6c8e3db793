from __future__ import annotations

import pytest

from structs.bits import BitRecord
from structs.columns import columns, records, rows
from structs.irte import IRTE, POSTED, REMAPPED, dst_apic_id, dst_from_apic_id, dst_reserved_bits, source_matches


def test_remapped_layout_by_hand() -> None:
    # P, DM, TM and DLM=1 (bit 5): 0x35; AVAIL=0xa (11:8): 0x0a; vector 0x51; DST 0x0f00; SID 0x0018; SQ=3 SVT=1: 0b0111
    raw = bytes.fromhex("350a5100 000f0000 18000700 00000000")
    assert REMAPPED.parse(raw) == {
        "p": 1, "fpd": 0, "dm": 1, "rh": 0, "tm": 1, "dlm": 1, "avail": 10, "rsvd_14_12": 0, "im": 0, "vector": 0x51,
        "rsvd_31_24": 0, "dst": 0x0F00, "sid": 0x0018, "sq": 3, "svt": 1, "rsvd_127_84": 0,
    }  # fmt: skip
    assert IRTE.record_of(raw) is REMAPPED


def test_posted_layout_by_hand() -> None:
    # P and FPD: 0x03; URG (14) and IM (15): 0xc0; vector 0x31; PDA 0x89abcdef_0123457f & ~0x3f split at 38 and 96
    raw = bytes.fromhex("03c03100 40452301 00010800 efcdab89")
    assert POSTED.parse(raw) == {
        "p": 1, "fpd": 1, "rsvd_7_2": 0, "avail": 0, "rsvd_13_12": 0, "urg": 1, "im": 1, "vector": 0x31,
        "rsvd_37_24": 0, "pda": 0x89AB_CDEF_0123_4540, "sid": 0x0100, "sq": 0, "svt": 2,
        "rsvd_95_84": 0,
    }  # fmt: skip
    assert IRTE.record_of(raw) is POSTED


def test_reserved_bits_are_reported() -> None:
    raw = bytes.fromhex("01700001 00000000 0000f0ff ffffffff")
    assert REMAPPED.reserved(REMAPPED.parse(raw)) == {"rsvd_14_12": 7, "rsvd_31_24": 1, "rsvd_127_84": (1 << 44) - 1}
    raw = bytes.fromhex("fdb00080 3f000000 0000f0ff 00000000")
    assert POSTED.reserved(POSTED.parse(raw)) == {
        "rsvd_7_2": 0x3F, "rsvd_13_12": 3, "rsvd_37_24": 0x3F80, "rsvd_95_84": 0xFFF,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("svt", "sq", "sid", "requester", "matches"),
    [
        (0, 0, 0x0100, 0xFFFF, True),  # not checked
        (1, 0, 0x0018, 0x0018, True),
        (1, 0, 0x0018, 0x0019, False),
        (1, 1, 0x0018, 0x001C, True),  # bit 2 ignored
        (1, 1, 0x0018, 0x001A, False),
        (1, 2, 0x0018, 0x001E, True),  # bits 2:1 ignored
        (1, 2, 0x0018, 0x001F, False),
        (1, 3, 0x0018, 0x001F, True),  # bits 2:0 ignored
        (1, 3, 0x0018, 0x0020, False),
        (2, 0, 0x0206, 0x0200, True),  # buses 2 to 6, both included
        (2, 0, 0x0206, 0x06FF, True),
        (2, 0, 0x0206, 0x0700, False),
        (2, 0, 0x0206, 0x01FF, False),
        (3, 0, 0x0018, 0x0018, False),  # reserved
    ],
)
def test_source_validation(svt: int, sq: int, sid: int, requester: int, matches: bool) -> None:
    assert source_matches({"svt": svt, "sq": sq, "sid": sid}, requester) is matches


def test_destination_forms() -> None:
    assert dst_apic_id(0x0F00, x2apic=False) == 0x0F
    assert dst_from_apic_id(0x0F, x2apic=False) == 0x0F00
    assert dst_reserved_bits(0x1_0F01, x2apic=False) == 0x1_0001


def test_every_entry_is_as_xen_prints_it(
    table: bytes, printed_entries: dict[int, tuple[BitRecord, dict[str, int]]]
) -> None:
    for index, (record, printed) in printed_entries.items():
        raw = table[index * 16 : index * 16 + 16]
        assert IRTE.record_of(raw) is record
        parsed = IRTE.parse(raw)
        assert {name: parsed[name] for name in printed} == printed, f"entry {index:#x}"
        assert not record.reserved(parsed)


def test_columns_find_the_entries_that_xen_prints(
    table: bytes, printed_entries: dict[int, tuple[BitRecord, dict[str, int]]]
) -> None:
    raw = records(REMAPPED, table)
    assert len(raw) == 65536
    present = columns(REMAPPED, raw, ["p"])["p"].nonzero()[0]
    assert present.tolist() == sorted(printed_entries)
    names = ("svt", "sq", "sid", "vector", "avail", "fpd", "dst", "dlm", "tm", "rh", "dm", "p")
    decoded = rows(columns(REMAPPED, raw[present], names))
    assert decoded == [printed for _, (_, printed) in sorted(printed_entries.items())]
