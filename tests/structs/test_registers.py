from __future__ import annotations

import pytest

from structs.bits import BitRecord
from structs.registers import (
    BY_NAME,
    CAP,
    ECAP,
    GCMD,
    GSTS,
    IQA,
    IRTA,
    REGISTERS,
    descriptor_size,
    domain_count,
    fault_record_count,
    fault_record_offset,
    iotlb_offset,
    queue_size,
    table_entries,
)


def parse(record: BitRecord, value: int) -> dict[str, int]:
    return dict(record.parse(value.to_bytes(record.size, "little")))


def set_fields(record: BitRecord, value: int) -> dict[str, int]:
    return {name: number for name, number in parse(record, value).items() if number}


def test_registers_stand_in_order_and_do_not_overlap() -> None:
    ends = 0
    for register in REGISTERS:
        assert register.offset >= ends, register.name
        assert register.offset % register.size == 0, register.name
        ends = register.offset + register.size
    assert len(BY_NAME) == len(REGISTERS)


def test_offsets_by_hand() -> None:
    assert {name: BY_NAME[name].offset for name in ("CAP", "ECAP", "GSTS", "FSTS", "IQH", "IQT", "IQA", "IRTA")} == {
        "CAP": 0x08, "ECAP": 0x10, "GSTS": 0x1C, "FSTS": 0x34, "IQH": 0x80, "IQT": 0x88, "IQA": 0x90, "IRTA": 0xB8,
    }  # fmt: skip


def test_registers_of_qemu_7_2_with_xen() -> None:
    """As read from QEMU 7.2 with -device intel-iommu,intremap=on while Xen ran."""
    cap = parse(CAP, 0x00D2_008C_2226_0206)
    assert {name: value for name, value in cap.items() if value} == {
        "nd": 6, "sagaw": 2, "mgaw": 38, "fro": 0x22, "sslps": 3, "psi": 1, "mamv": 18, "dwd": 1, "drd": 1,
    }  # fmt: skip
    assert (fault_record_offset(cap), fault_record_count(cap), domain_count(cap)) == (0x220, 1, 65536)
    ecap = parse(ECAP, 0xF00F4A)
    assert {name: value for name, value in ecap.items() if value} == {
        "qi": 1, "ir": 1, "pt": 1, "iro": 0x0F, "mhmv": 15,
    }  # fmt: skip
    assert iotlb_offset(ecap) == 0xF8
    assert set_fields(GSTS, 0xC700_0000) == {"tes": 1, "rtps": 1, "qies": 1, "ires": 1, "irtps": 1}
    irta = parse(IRTA, 0x7A80_000F)
    assert (irta["irta"], irta["eime"], table_entries(irta)) == (0x7A80_0000, 0, 65536)


@pytest.mark.parametrize(
    ("layout", "bits"),
    [
        (
            CAP,
            {3: "afl", 4: "rwbf", 5: "plmr", 6: "phmr", 7: "cm", 22: "zlr", 39: "psi", 54: "dwd", 55: "drd"}
            | {56: "fs1gp", 59: "pi", 60: "fs5lp", 61: "ecmds", 62: "esirtps", 63: "esrtps"},
        ),
        (
            ECAP,
            {0: "c", 1: "qi", 2: "dt", 3: "ir", 4: "eim", 6: "pt", 7: "sc", 25: "mts", 26: "nest", 29: "prs", 30: "ers"}
            | {31: "srs", 33: "nwfs", 34: "eafs", 40: "pasid", 41: "dit", 42: "pds", 43: "smts", 44: "vcs", 45: "ssads"}
            | {46: "ssts", 47: "fsts", 48: "smpwcs", 49: "rps", 51: "pms", 52: "adms", 53: "rprivs", 61: "eimer"}
            | {62: "irreq"},
        ),
        (GCMD, {31: "te", 30: "srtp", 27: "wbf", 26: "qie", 25: "ire", 24: "sirtp", 23: "cfi"}),
        (GSTS, {31: "tes", 30: "rtps", 27: "wbfs", 26: "qies", 25: "ires", 24: "irtps", 23: "cfis"}),
        (BY_NAME["FSTS"].record, {0: "pfo", 1: "ppf", 4: "iqe", 5: "ice", 6: "ite"}),
        (BY_NAME["FECTL"].record, {31: "im", 30: "ip"}),
        (BY_NAME["ICS"].record, {0: "iwc"}),
        (BY_NAME["PMEN"].record, {31: "epm", 0: "prs"}),
        (IQA, {11: "dw"}),
        (IRTA, {11: "eime"}),
        (BY_NAME["CCMD"].record, {63: "icc"}),
    ],
)
def test_single_bits_by_hand(layout: BitRecord, bits: dict[int, str]) -> None:
    for bit, name in bits.items():
        assert set_fields(layout, 1 << bit) == {name: 1}


def test_values_by_hand() -> None:
    iqa = parse(IQA, 0x1_2345_6803)
    assert (iqa["iqa"], iqa["qs"], queue_size(iqa), descriptor_size(iqa)) == (0x1_2345_6000, 3, 32768, 32)
    assert descriptor_size(parse(IQA, 0x1_2345_6000)) == 16
    assert set_fields(BY_NAME["IQH"].record, 0x30) == {"qh": 0x30}
    assert set_fields(BY_NAME["IQT"].record, 0x7_FFF0) == {"qt": 0x7_FFF0}
    assert set_fields(BY_NAME["IQERCD"].record, 0x0018_00FA_0000_0004) == {"iqei": 4, "itesid": 0xFA, "icesid": 0x18}
    assert set_fields(BY_NAME["RTADDR"].record, 0x1_2345_6400) == {"rta": 0x1_2345_6000, "ttm": 1}
    assert set_fields(BY_NAME["FEADDR"].record, 0xFEE0_1004) == {"ma": 0xFEE0_1004}
    assert set_fields(BY_NAME["FSTS"].record, 0x0502) == {"ppf": 1, "fri": 5}


def test_bits_of_older_revisions_have_names() -> None:
    """As real machines set them: Core 2's CAP, the graphics units' ECAP from Skylake to Tiger Lake, Nehalem's ECAP."""
    from structs.registers import BY_NAME

    def set_fields(name: str, value: int) -> set[str]:
        record = BY_NAME[name].record
        return {field for field, bits in record.parse(value.to_bytes(record.size, "little")).items() if bits}

    assert "isoch" in set_fields("CAP", 1 << 23)
    assert set_fields("ECAP", 1 << 24 | 1 << 27 | 1 << 28 | 1 << 5) == {"ecs", "dis", "pasid_28", "ch"}
    assert "2.x" in BY_NAME["RTADDR"].record["ttm"].meanings[2]
    assert {6, 7} <= set(BY_NAME["IQERCD"].record["iqei"].meanings)
