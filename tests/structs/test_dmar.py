from __future__ import annotations

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st

from structs.acpi import EMPTY_HEADER, checksum, with_checksum
from structs.dmar import DMAR, NAMES

QEMU = bytes.fromhex(
    "444d4152700000000127424f4348532042585043202020200100000042585043010000002601000000000000000000000000400000000000"
    "0000d9fe000000000308000000ff0000010800000000000002080000000001000108000000001f000108000000001f020108000000001f03"
)
"""As QEMU 7.2 made it: q35, intel-iommu with intremap=on, a root port at 00:01.0."""


def table(structures: bytes, trailing: bytes = b"") -> bytes:
    header = DMAR.build({"signature": b"DMAR", "body": {**EMPTY_HEADER, "haw": 38, "structures": []}})
    whole = header[:4] + (len(header) + len(structures)).to_bytes(4, "little") + header[8:] + structures
    return with_checksum(whole) + trailing


def test_a_real_table() -> None:
    dmar = DMAR.parse(QEMU)
    assert dmar.signature == b"DMAR"
    assert dmar.body.haw == 38
    assert dict(dmar.body.flags) == {"intr_remap": 1, "x2apic_opt_out": 0, "dma_ctrl_platform_opt_in": 0, "rsvd_7_3": 0}
    assert [NAMES[s.type] for s in dmar.body.structures] == ["DRHD"]
    unit = dmar.body.structures[0].body
    assert (unit.base, unit.segment, unit.flags["include_pci_all"], unit.size["size"]) == (0xFED9_0000, 0, 0, 0)
    assert [
        (s.type, s.enumeration_id, s.start_bus, [(hop.device, hop.function) for hop in s.path]) for s in unit.scopes
    ] == [
        (3, 0, 0xFF, [(0, 0)]),
        (1, 0, 0, [(0, 0)]),
        (2, 0, 0, [(1, 0)]),
        (1, 0, 0, [(31, 0)]),
        (1, 0, 0, [(31, 2)]),
        (1, 0, 0, [(31, 3)]),
    ]
    assert (dmar.body.rest, dmar.trailing, unit.rest) == (b"", b"", b"")
    assert checksum(QEMU) == 0
    assert DMAR.build(dmar) == QEMU


def test_the_name_that_xen_gives_it_is_kept() -> None:
    assert DMAR.parse(b"RMAD" + QEMU[4:]).signature == b"RMAD"


DRHD = bytes.fromhex("0000 1000 01 01 0200 0000d0fe01000000")
RMRR = bytes.fromhex("0100 2200 0000 0100 00000e0000000000 ffff0e0000000000 01 0a 0000 00 02 1d00 1c07")
ATSR = bytes.fromhex("0200 0800 01 00 0300")
RHSA = bytes.fromhex("0300 1400 00000000 0000d9fe00000000 07000000")
ANDD = bytes.fromhex("0400 0d00 000000 01") + b"\\_SB\0"
SATC = bytes.fromhex("0500 1000 01 00 0000 01 08 0000 00 00 0200")
SIDP = bytes.fromhex("0600 1000 0000 0000 01 08 1900 00 05 0201")
UNKNOWN = bytes.fromhex("4200 0700 aabbcc")


def test_every_structure_by_hand() -> None:
    raw = table(DRHD + RMRR + ATSR + RHSA + ANDD + SATC + SIDP + UNKNOWN)
    dmar = DMAR.parse(raw)
    drhd, rmrr, atsr, rhsa, andd, satc, sidp, unknown = dmar.body.structures
    assert [s.type for s in dmar.body.structures] == [0, 1, 2, 3, 4, 5, 6, 0x42]
    assert (drhd.body.flags["include_pci_all"], drhd.body.size["size"], drhd.body.segment) == (1, 1, 2)
    assert drhd.body.base == 0x1_FED0_0000
    assert (rmrr.body.segment, rmrr.body.base, rmrr.body.limit) == (1, 0xE0000, 0xEFFFF)
    assert [(hop.device, hop.function) for hop in rmrr.body.scopes[0].path] == [(0x1D, 0), (0x1C, 7)]
    assert rmrr.body.scopes[0].start_bus == 2
    assert (atsr.body.flags["all_ports"], atsr.body.segment) == (1, 3)
    assert (rhsa.body.base, rhsa.body.proximity_domain) == (0xFED9_0000, 7)
    assert (andd.body.device_number, andd.body.object_name) == (1, b"\\_SB\0")
    assert satc.body.flags["atc_required"] == 1
    flags = sidp.body.scopes[0].flags
    assert (flags["req_wo_pasid_nested_notallowed"], flags["atc_hardened"], flags["atc_required"]) == (1, 1, 1)
    assert unknown.body == b"\xaa\xbb\xcc"
    assert dmar.body.rest == b""
    assert DMAR.build(dmar) == raw


@pytest.mark.parametrize(
    "bad",
    [
        bytes(4),  # length 0
        bytes.fromhex("0000 0300 00000000"),  # shorter than type and length
        bytes.fromhex("0000 0800 00000000"),  # shorter than a DRHD
        bytes.fromhex("0300 1300") + bytes(15),  # one byte short of an RHSA
        bytes.fromhex("4200 ff00") + bytes(8),  # beyond the table
        bytes.fromhex("4200 04"),  # not even a length
    ],
    ids=["zero", "three", "short DRHD", "short RHSA", "beyond", "cut"],
)
def test_structures_stop_at_the_first_bad_one(bad: bytes) -> None:
    raw = table(RHSA + bad + ATSR, b"trailing")
    dmar = DMAR.parse(raw)
    assert [s.type for s in dmar.body.structures] == [3]
    assert dmar.body.rest == bad + ATSR
    assert dmar.trailing == b"trailing"
    assert DMAR.build(dmar) == raw


@pytest.mark.parametrize("scope", ["0300", "0305", "03080000", "030a00000000"], ids=["zero", "five", "cut", "beyond"])
def test_scopes_stop_at_the_first_bad_one(scope: str) -> None:
    bad = bytes.fromhex(scope)
    raw = table((0).to_bytes(2, "little") + (16 + len(bad)).to_bytes(2, "little") + DRHD[4:] + bad + RHSA)
    unit, rhsa = DMAR.parse(raw).body.structures
    assert (list(unit.body.scopes), unit.body.rest, rhsa.type) == ([], bad, 3)
    assert DMAR.build(DMAR.parse(raw)) == raw


def test_an_odd_scope_keeps_its_last_byte() -> None:
    raw = table(bytes.fromhex("0200 1100 01 00 0000 01 09 0000 00 00 0200 55"))
    scope = DMAR.parse(raw).body.structures[0].body.scopes[0]
    assert (scope.length, len(scope.path), scope.rest) == (9, 1, b"\x55")
    assert DMAR.build(DMAR.parse(raw)) == raw


@pytest.mark.parametrize("length", [0, 8, 47, 113, 0xFFFF_FFFF])
def test_a_wrong_table_length_is_an_error(length: int) -> None:
    with pytest.raises(ConstructError):
        DMAR.parse(QEMU[:4] + length.to_bytes(4, "little") + QEMU[8:])


@given(st.lists(st.sampled_from([DRHD, RMRR, ATSR, RHSA, ANDD, SATC, SIDP, UNKNOWN])), st.binary(max_size=40))
def test_build_inverts_parse(structures: list[bytes], junk: bytes) -> None:
    raw = table(b"".join(structures) + junk, junk)
    assert DMAR.build(DMAR.parse(raw)) == raw


@given(st.integers(0, len(QEMU) - 1), st.integers(0, 255))
def test_one_wrong_byte_loses_nothing(position: int, value: int) -> None:
    raw = QEMU[:position] + bytes([value]) + QEMU[position + 1 :]
    try:
        dmar = DMAR.parse(raw)
    except ConstructError:
        assert 4 <= position < 8
    else:
        assert DMAR.build(dmar) == raw
