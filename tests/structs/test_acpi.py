from __future__ import annotations

import pytest
from construct import ConstError, ConstructError
from hypothesis import given
from hypothesis import strategies as st

from structs.acpi import EMPTY_HEADER, HEADER, RSDP, RSDT, XSDT, checksum, with_checksum

QEMU_RSDP = bytes.fromhex("525344205054522087424f4348532000a723fe03")
"""As SeaBIOS placed it under QEMU 7.2 (q35)."""


def test_a_real_rsdp() -> None:
    rsdp = RSDP.parse(QEMU_RSDP)
    assert (rsdp.revision, rsdp.rsdt_address, rsdp.extended, rsdp.oem_id) == (0, 0x03FE23A7, None, b"BOCHS ")
    assert checksum(QEMU_RSDP) == 0
    assert RSDP.build(rsdp) == QEMU_RSDP


def test_rsdp_of_revision_2_by_hand() -> None:
    raw = QEMU_RSDP[:15] + b"\2" + QEMU_RSDP[16:] + bytes.fromhex("24000000 0010fe7f01000000 55 000000")
    rsdp = RSDP.parse(raw)
    assert (rsdp.extended.length, rsdp.extended.xsdt_address, rsdp.extended.checksum) == (36, 0x1_7FFE_1000, 0x55)
    assert RSDP.build(rsdp) == raw
    with pytest.raises(ConstructError):
        RSDP.parse(raw[:30])


def test_rsdp_needs_its_signature() -> None:
    with pytest.raises(ConstError):
        RSDP.parse(bytes(36))


def test_root_tables() -> None:
    raw = RSDT.build({"signature": b"RSDT", "body": {**EMPTY_HEADER, "entries": [1, 2, 3]}})
    assert HEADER.parse(raw).length == len(raw) == 36 + 12
    assert list(RSDT.parse(raw).body.entries) == [1, 2, 3]
    # 12 bytes of entries are one and a half of an XSDT's: what is left over is kept.
    assert list(XSDT.parse(raw).body.entries) == [2 << 32 | 1]
    assert XSDT.parse(raw).body.rest == bytes.fromhex("03000000")


@given(st.binary(min_size=28, max_size=80), st.binary(max_size=8))
def test_build_inverts_parse(content: bytes, trailing: bytes) -> None:
    raw = b"XSDT" + (8 + len(content)).to_bytes(4, "little") + content + trailing
    for schema in (RSDT, XSDT):
        table = schema.parse(raw)
        assert table.trailing == trailing
        assert schema.build(table) == raw


@pytest.mark.parametrize("length", [0, 1, 7, 8, 35, 37, 0xFFFF_FFFF])
def test_wrong_lengths_are_errors(length: int) -> None:
    with pytest.raises(ConstructError):
        XSDT.parse(b"XSDT" + length.to_bytes(4, "little") + bytes(28))


@given(st.binary(min_size=36, max_size=100))
def test_checksum(raw: bytes) -> None:
    assert checksum(with_checksum(raw)) == 0
