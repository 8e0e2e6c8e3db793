from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.irte import IRTE, POSTED, REMAPPED
from structs.remapping import Checks, Destination, source_possible

WIDTHS = st.none() | st.integers(6, 64)
SPARSE = st.lists(st.integers(0, 127), max_size=12).map(lambda bits: sum(1 << bit for bit in set(bits)))
ENTRIES = st.lists(st.integers(0, (1 << 128) - 1) | SPARSE, min_size=1, max_size=6)


@given(st.booleans(), st.none() | st.booleans(), WIDTHS, ENTRIES)
def test_three_ways_to_ask_have_one_answer(
    eime: bool, posting: bool | None, width: int | None, entries: list[int]
) -> None:
    checks = Checks(eime, posting, width)
    raw = np.frombuffer(b"".join(entry.to_bytes(16, "little") for entry in entries), "u1").reshape(-1, 16)
    found = checks.malformed_rows(raw).tolist()
    assert found == [checks.is_malformed(entry) for entry in entries]
    assert found == [bool(checks.malformed(entry)) for entry in entries]


def entry(**fields: int) -> int:
    record = POSTED if fields.get("im") else REMAPPED
    return int.from_bytes(record.build({"p": 1, "svt": 1, **fields}), "little")


@pytest.mark.parametrize(
    ("fields", "mode", "said"),
    [
        ({"dst": 0xFF00}, {"eime": False}, []),
        ({"dst": 0x100FF}, {"eime": True}, []),
        ({"dst": 0x101}, {"eime": False}, ["dst=0x101 (reserved in xAPIC mode but for bits 15:8)"]),
        ({"dlm": 3}, {"eime": False}, ["dlm=0x3 (reserved)"]),
        ({"dlm": 6}, {"eime": True}, ["dlm=0x6 (reserved)"]),
        ({"dlm": 5, "vector": 3}, {"eime": False}, []),
        ({"svt": 3}, {"eime": False}, ["svt=0x3 (reserved)"]),
        ({"rsvd_31_24": 0x80}, {"eime": False}, ["rsvd_31_24=0x80"]),
        ({"im": 1, "pda": 0x1000}, {"eime": False, "posting": True}, []),
        ({"im": 1, "pda": 0x1000}, {"eime": False, "posting": None}, []),
        ({"im": 1, "pda": 0x1000}, {"eime": False, "posting": False}, ["im=0x1 (the unit cannot post)"]),
        (
            {"im": 1, "pda": 1 << 39},
            {"eime": True, "posting": True, "width": 39},
            ["pda=0x8000000000 (beyond the 39 bits of physical addresses)"],
        ),
        ({"im": 1, "pda": (1 << 39) - 64}, {"eime": True, "posting": True, "width": 39}, []),
        ({"im": 1, "rsvd_7_2": 9, "pda": 0x40}, {"eime": False}, ["rsvd_7_2=0x9"]),
    ],
)
def test_what_hardware_faults_on(fields: dict[str, int], mode: dict[str, int], said: list[str]) -> None:
    assert [str(part) for part in Checks(**mode).malformed(entry(**fields))] == said  # type: ignore[arg-type]


@given(st.integers(0, 3), st.integers(0, 0xFFFF))
def test_an_entry_that_nobody_can_use(svt: int, sid: int) -> None:
    from structs.irte import source_matches

    anybody = any(source_matches({"svt": svt, "sq": 0, "sid": sid}, bus << 8 | sid & 0xFF) for bus in range(256))
    assert source_possible(svt, sid) == (anybody or source_matches({"svt": svt, "sq": 0, "sid": sid}, sid))


@pytest.mark.parametrize(
    ("dst", "logical", "x2apic", "words", "ids"),
    [
        (0x300, False, False, "APIC 0x3", (3,)),
        (0x300, False, True, "APIC 0x300", (0x300,)),
        (0xFF00, False, False, "all APICs", None),
        (0xFFFFFFFF, False, True, "all APICs", None),
        (0xFFFFFFFF, True, True, "all APICs", None),
        (0x300, True, False, "CPUs 0x3", None),
        (0x10004, True, True, "cluster 1, member 2", (0x12,)),
        (0x00005, True, True, "cluster 0, members 0, 2", (0, 2)),
        (0x20000, True, True, "cluster 2, members none", ()),
    ],
)
def test_destinations(dst: int, logical: bool, x2apic: bool, words: str, ids: tuple[int, ...] | None) -> None:
    destination = Destination(dst, logical, x2apic)
    assert (destination.in_words(), destination.apic_ids) == (words, ids)


def test_an_entry_comes_back() -> None:
    raw = REMAPPED.build({"p": 1, "dlm": 3, "svt": 3})
    assert IRTE.build(IRTE.parse(raw)) == raw
