from __future__ import annotations

import pytest

from structs.faults import FRCD, INTERRUPT_REASONS, REASONS, interrupt_index, request_in_words


def test_layout_by_hand() -> None:
    low = 0xABCD_E000_1234_5000  # 63:12
    # from bit 64: F 63, T1 62, AT 61:60, PASID 59:40, reason 39:32, PP 31, EXE 30, PRIV 29, T2 28, SID 15:0
    high = 1 << 63 | 1 << 62 | 2 << 60 | 0x12345 << 40 | 0x06 << 32 | 1 << 31 | 1 << 29 | 0x00FA
    assert FRCD.parse(low.to_bytes(8, "little") + high.to_bytes(8, "little")) == {
        "rsvd_11_0": 0, "fi": low, "sid": 0x00FA, "rsvd_91_80": 0, "t2": 0, "priv": 1, "exe": 0, "pp": 1, "fr": 6,
        "pv": 0x12345, "at": 2, "t1": 1, "f": 1,
    }  # fmt: skip


def test_a_fault_that_qemu_10_recorded() -> None:
    """A posted IRTE with URG=1, index 0x1e, used by 00:03.0; Xen's handler had cleared F."""
    raw = bytes.fromhex("0000000000001e00 1800000024000000")
    fault = FRCD.parse(raw)
    assert (fault["fr"], fault["sid"], fault["f"], interrupt_index(fault)) == (0x24, 0x0018, 0, 0x1E)
    assert not FRCD.reserved(fault)


@pytest.mark.parametrize(("reason", "index"), [(0x21, 0x1E), (0x28, 0x1E), (0x25, None), (0x06, None), (0x2C, None)])
def test_which_faults_have_an_index(reason: int, index: int | None) -> None:
    assert interrupt_index({"fr": reason, "fi": 0x1E << 48}) == index


def test_reasons() -> None:
    assert sorted(INTERRUPT_REASONS) == list(range(0x20, 0x2C))
    assert {code for code, reason in INTERRUPT_REASONS.items() if reason.fpd_suppresses} == {
        0x22, 0x24, 0x26, 0x27, 0x28,
    }  # fmt: skip
    assert all(reason.fpd_suppresses is None for code, reason in REASONS.items() if code not in INTERRUPT_REASONS)


def test_every_dma_reason_that_a_unit_can_give_is_known() -> None:
    known = {code for code in REASONS if code not in INTERRUPT_REASONS}
    legacy, tables = {*range(0x01, 0x0F)}, {*range(0x30, 0x34), *range(0x38, 0x3B), *range(0x40, 0x49)}
    pasid, paging = {*range(0x50, 0x53), *range(0x58, 0x5E)}, {*range(0x70, 0x7E)}
    assert known == legacy | tables | pasid | paging | {*range(0x80, 0x8A), 0x90, 0x91}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "write"),
        ({"t1": 1}, "read"),
        ({"t2": 1}, "page request"),
        ({"t1": 1, "t2": 1}, "AtomicOp"),
        ({"t1": 1, "pp": 1, "pv": 0x12345}, "read PASID 0x12345"),
        ({"pp": 1, "pv": 7, "exe": 1, "priv": 1}, "write PASID 0x7 execute supervisor"),
        ({"pv": 7, "exe": 1}, "write"),
    ],
)
def test_what_was_asked_for(fields: dict[str, int], words: str) -> None:
    assert request_in_words(FRCD.parse(FRCD.build(fields))) == words
