from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.columns import columns, rows
from structs.pi_desc import PI_DESC, ndst_apic_id, ndst_from_apic_id, ndst_reserved_bits, pir_of, vectors


def test_layout_by_hand() -> None:
    raw = bytearray(64)
    raw[0x52 // 8] = 1 << 0x52 % 8  # vector 0x52: byte 10, bit 2
    raw[31] = 0x80  # vector 255
    raw[32] = 0b11  # bit 256 ON, bit 257 SN
    raw[34] = 0xF2  # bits 279:272 NV
    raw[36:40] = bytes.fromhex("04030201")  # bits 319:288 NDST, little-endian
    desc = PI_DESC.parse(bytes(raw))
    assert desc == {
        "pir": 1 << 0x52 | 1 << 255, "on": 1, "sn": 1, "rsvd_271_258": 0, "nv": 0xF2, "rsvd_287_280": 0,
        "ndst": 0x01020304, "rsvd_511_320": 0,
    }  # fmt: skip
    assert vectors(desc["pir"]) == [0x52, 255]


@pytest.mark.parametrize(
    ("byte", "value", "name", "reads"),
    [(32, 0x04, "rsvd_271_258", 1), (33, 0x80, "rsvd_271_258", 1 << 13), (35, 0xFF, "rsvd_287_280", 0xFF),
     (40, 0x01, "rsvd_511_320", 1), (63, 0x80, "rsvd_511_320", 1 << 191)],
)  # fmt: skip
def test_reserved_bits_are_reported(byte: int, value: int, name: str, reads: int) -> None:
    raw = bytearray(64)
    raw[byte] = value
    assert PI_DESC.reserved(PI_DESC.parse(bytes(raw))) == {name: reads}


@given(st.sets(st.integers(0, 255)))
def test_vectors_and_pir_are_inverse(chosen: set[int]) -> None:
    assert vectors(pir_of(list(chosen))) == sorted(chosen)


def test_ndst_forms() -> None:
    assert ndst_apic_id(0x0000_0300, x2apic=False) == 3
    assert ndst_apic_id(0x0001_0300, x2apic=True) == 0x10300
    assert ndst_from_apic_id(3, x2apic=False) == 0x300
    assert ndst_from_apic_id(0x10300, x2apic=True) == 0x10300
    assert ndst_reserved_bits(0xFFFF_FFFF, x2apic=False) == 0xFFFF_00FF
    assert ndst_reserved_bits(0xFFFF_FFFF, x2apic=True) == 0
    with pytest.raises(ValueError, match="0x100 does not fit the 8 bits of xAPIC"):
        ndst_from_apic_id(256, x2apic=False)
    with pytest.raises(ValueError, match="x2APIC"):
        ndst_from_apic_id(1 << 32, x2apic=True)


def test_descriptors_of_a_real_xen(
    golden: Path, expected: list[dict[str, Any]], core_reader: Callable[[Path], Callable[[int, int], bytes]]
) -> None:
    read = core_reader(golden)
    raw = [read(vcpu["pi"]["address"], 64) for vcpu in expected]
    wanted = [
        {name: vcpu["pi"][name] for name in ("on", "sn", "nv", "ndst")} | {"pir": pir_of(vcpu["pi"]["pir"])}
        for vcpu in expected
    ]
    parsed = [PI_DESC.parse(descriptor) for descriptor in raw]
    assert [{name: desc[name] for name in want} for desc, want in zip(parsed, wanted, strict=True)] == wanted
    assert [vectors(desc["pir"]) for desc in parsed] == [vcpu["pi"]["pir"] for vcpu in expected]
    assert not any(PI_DESC.reserved(desc) for desc in parsed)

    decoded = columns(PI_DESC, b"".join(raw))
    assert rows(decoded) == [dict(desc) for desc in parsed]
    assert decoded["pir"].shape == (len(raw), 4)
    assert decoded["pir"].dtype == np.dtype("<u8")


def test_xapic_capture_holds_xapic_destinations(golden: Path, expected: list[dict[str, Any]]) -> None:
    xapic = "xapic" in golden.name
    assert not any(ndst_reserved_bits(vcpu["pi"]["ndst"], x2apic=not xapic) for vcpu in expected)
    if xapic:
        assert any(ndst_apic_id(vcpu["pi"]["ndst"], x2apic=False) for vcpu in expected)
