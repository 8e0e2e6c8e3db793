"""The posted-interrupt descriptor (VT-d 9.11): 64 bytes, 64-byte aligned, one for each vCPU.

>>> desc = PI_DESC.parse(bytes(6) + b"\\x08" + bytes(25) + bytes([1, 0, 0xF2, 0, 3, 0, 0, 0]) + bytes(24))
>>> vectors(desc["pir"]), desc["on"], desc["sn"], hex(desc["nv"]), ndst_apic_id(desc["ndst"], x2apic=True)
([51], 1, 0, '0xf2', 3)
"""

from __future__ import annotations

from structs.apic import apic_id, from_apic_id, reserved_bits
from structs.bits import BitRecord, field

PI_DESC = BitRecord(
    "PI descriptor",
    64,
    field("pir", (255, 0), help="posted-interrupt requests: one bit for each guest vector"),
    field("on", 256, help="outstanding notification: a notification is on its way, do not send another"),
    field("sn", 257, help="suppress notification: record non-urgent interrupts in PIR, set no ON, send nothing"),
    field("nv", (279, 272), help="notification vector: the physical vector that a post sends"),
    field("ndst", (319, 288), help="notification destination: physical APIC ID; in xAPIC mode (EIME=0) in bits 15:8"),
    source="VT-d 9.11",
)

ndst_apic_id = apic_id
"""`ndst_apic_id(ndst, x2apic)`: the APIC ID that NDST names."""

ndst_from_apic_id = from_apic_id
"""`ndst_from_apic_id(apic_id, x2apic)`: the NDST that names an APIC ID. ValueError if it does not fit."""

ndst_reserved_bits = reserved_bits
"""`ndst_reserved_bits(ndst, x2apic)`: the bits of NDST that are set but reserved in this mode."""


def vectors(pir: int) -> list[int]:
    """The guest vectors whose bits are set in PIR, ascending."""
    return [vector for vector in range(pir.bit_length()) if pir >> vector & 1]


def pir_of(vectors: list[int]) -> int:
    """The PIR with these vectors' bits set: the inverse of `vectors`."""
    return sum(1 << vector for vector in set(vectors))
