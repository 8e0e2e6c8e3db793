"""The interrupt-remapping table entry (VT-d 9.9 remapped, 9.10 posted): 16 bytes; IM (bit 15) says which format it is.

>>> entry = IRTE.parse(bytes.fromhex("0d00400000020000 00ff040000000000"))
>>> {name: entry[name] for name in ("p", "im", "vector", "dlm", "dm", "rh", "svt")}, hex(entry["sid"])
({'p': 1, 'im': 0, 'vector': 64, 'dlm': 0, 'dm': 1, 'rh': 1, 'svt': 1}, '0xff00')
>>> dst_apic_id(entry["dst"], x2apic=False), source_matches(entry, 0xFF00), source_matches(entry, 0x0008)
(2, True, False)
>>> raw = IRTE.build({"p": 1, "im": 1, "vector": 0x31, "pda": 0x1_2345_6780, "sid": 0x0018, "svt": 1})
>>> IRTE.record_of(raw).title, hex(IRTE.parse(raw)["pda"])
('posted', '0x123456780')
"""

from __future__ import annotations

from collections.abc import Mapping

from structs.apic import DELIVERY_MODES, DESTINATION_MODES, TRIGGER_MODES, apic_id, from_apic_id, reserved_bits
from structs.bits import BitRecord, Tagged, field

_FIRST = (
    field("p", 0, help="present; an interrupt that selects an entry with P=0 faults (0x22)"),
    field("fpd", 1, help="fault processing disable: do not record this entry's qualified faults; counts even if P=0"),
    field("avail", (11, 8), help="for software; hardware ignores it"),
    field("im", 15, help="IRTE mode", meanings={0: "remapped", 1: "posted"}),
)
_SOURCE = (
    field("sid", (79, 64), help="source-id that is allowed to use the entry: bus 15:8, device 7:3, function 2:0"),
    field(
        "sq",
        (81, 80),
        help="source-id qualifier: which bits of the function number SVT=1 ignores",
        meanings={0: "all bits compared", 1: "bit 2 ignored", 2: "bits 2:1 ignored", 3: "bits 2:0 ignored"},
    ),
    field(
        "svt",
        (83, 82),
        help="source validation type",
        meanings={0: "not checked", 1: "SID and SQ", 2: "bus between SID[15:8] and SID[7:0]", 3: "reserved"},
    ),
)

REMAPPED = BitRecord(
    "remapped",
    16,
    *_FIRST,
    field("dm", 2, help="destination mode", meanings=DESTINATION_MODES),
    field("rh", 3, help="redirection hint: deliver to one of the destinations"),
    field("tm", 4, help="trigger mode", meanings=TRIGGER_MODES),
    field("dlm", (7, 5), help="delivery mode", meanings=DELIVERY_MODES),
    field("vector", (23, 16), help="physical vector"),
    field("dst", (63, 32), help="destination: APIC ID; in xAPIC mode (EIME=0) in bits 15:8"),
    *_SOURCE,
    source="VT-d 9.9",
)

POSTED = BitRecord(
    "posted",
    16,
    *_FIRST,
    field("urg", 14, help="urgent: notify even if the descriptor's SN is set"),
    field("vector", (23, 16), help="virtual vector: the bit of PIR that a post sets"),
    field("pda", (63, 38, 6), (127, 96, 32), help="physical address of the posted-interrupt descriptor"),
    *_SOURCE,
    source="VT-d 9.10",
)

IRTE = Tagged("im", {0: REMAPPED, 1: POSTED})

dst_apic_id = apic_id
"""`dst_apic_id(dst, x2apic)`: the APIC ID (DM=0) or set of CPUs (DM=1) that DST names."""

dst_from_apic_id = from_apic_id
"""`dst_from_apic_id(apic_id, x2apic)`: the DST that names an APIC ID. ValueError if it does not fit."""

dst_reserved_bits = reserved_bits
"""`dst_reserved_bits(dst, x2apic)`: the bits of DST that are set but reserved in this mode."""

SQ_MASKS = (0xFFFF, 0xFFFB, 0xFFF9, 0xFFF8)
"""By SQ: the bits of a source-id that SVT=1 compares."""


def source_matches(entry: Mapping[str, int], sid: int) -> bool:
    """Whether an entry lets the requester `sid` use it (VT-d 9.9, SVT and SQ); otherwise hardware faults (0x26).

    SVT=3 is reserved, so such an entry is used by nobody: hardware faults on it (0x24).
    """
    return source_allowed(entry["svt"], entry["sq"], entry["sid"], sid)


def source_allowed(svt: int, sq: int, allowed: int, sid: int) -> bool:
    """`source_matches` of an entry's three fields; `allowed` is its SID."""
    match svt:
        case 0:
            return True
        case 1:
            return (sid ^ allowed) & SQ_MASKS[sq] == 0
        case 2:
            return allowed >> 8 <= sid >> 8 <= allowed & 0xFF
    return False
