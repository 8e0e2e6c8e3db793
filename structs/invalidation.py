"""Invalidation-queue descriptors (VT-d 6.5.2), 128 bits, or 256 where IQA.DW=1: then the upper half is reserved.

>>> iec = DESCRIPTOR.parse(bytes.fromhex("1400000018000000 0000000000000000"))
>>> NAMES[iec["type"]], iec["g"], iec["im"], iec["iidx"]
('interrupt entry cache', 1, 0, 24)
>>> WIDE_DESCRIPTOR.parse(WIDE_DESCRIPTOR.build({"type": 5, "sw": 1, "status_address": 0x1000}))["status_address"]
4096
>>> DESCRIPTOR.record_of(bytes([0x0F, 0x0E]) + bytes(14)).title, DESCRIPTOR.field.extract(0x0E0F)
('unknown', 127)
"""

from __future__ import annotations

from structs.bits import BitRecord, Field, Tagged, field

NAMES = {
    1: "context cache",
    2: "IOTLB",
    3: "device TLB",
    4: "interrupt entry cache",
    5: "wait",
    6: "PASID IOTLB",
    7: "PASID cache",
    8: "PASID device TLB",
    9: "page group response",
    10: "HPT",
}
_TYPE = field("type", (3, 0, 0), (11, 9, 4), help="descriptor type", meanings=NAMES)
_DID = field("did", (31, 16), help="domain-id")
_PASID = field("pasid", (51, 32), help="process address space id")
_PFSID = field("pfsid", (15, 12, 0), (63, 52, 4), help="source-id of the physical function")
_PAGES = (
    field("am", (69, 64), help="address mask: 2^AM pages"),
    field("ih", 70, help="invalidation hint: non-leaf entries were not changed"),
    field("addr", (127, 76, 12), help="page address"),
)


def _granularity(*names: str) -> Field:
    return field("g", (5, 4), help="granularity", meanings=dict(enumerate(names)))


_KINDS: dict[int, tuple[str, tuple[Field, ...]]] = {
    1: (
        "VT-d 6.5.2.1",
        (
            _granularity("reserved", "global", "domain", "device"),
            _DID,
            field("sid", (47, 32), help="source-id"),
            field("fm", (49, 48), help="function mask: how many low function bits of SID are ignored"),
        ),
    ),
    2: (
        "VT-d 6.5.2.3",
        (
            _granularity("reserved", "global", "domain", "pages of a domain"),
            field("dw", 6, help="drain writes"),
            field("dr", 7, help="drain reads"),
            _DID,
            *_PAGES,
        ),
    ),
    3: (
        "VT-d 6.5.2.5",
        (
            _PFSID,
            field("mip", (20, 16), help="maximum invalidations pending"),
            field("sid", (47, 32), help="source-id"),
            field("s", 64, help="size: the lowest zero bit of ADDR tells how many pages"),
            field("addr", (127, 76, 12), help="page address"),
        ),
    ),
    4: (
        "VT-d 6.5.2.8",
        (
            field("g", 4, help="granularity", meanings={0: "global", 1: "by index"}),
            field("im", (31, 27), help="index mask: 2^IM aligned entries"),
            field("iidx", (47, 32), help="first interrupt index"),
        ),
    ),
    5: (
        "VT-d 6.5.2.9",
        (
            field("if", 4, help="interrupt flag: raise the completion event"),
            field("sw", 5, help="status write: write STATUS_DATA to STATUS_ADDRESS on completion"),
            field("fn", 6, help="fence: later descriptors wait for the earlier ones"),
            field("pd", 7, help="page-request drain"),
            field("status_data", (63, 32), help="what is written on completion"),
            field("status_address", (127, 66, 2), help="where it is written"),
        ),
    ),
    6: (
        "VT-d 6.5.2.4",
        (_granularity("reserved", "reserved", "all of a PASID", "pages of a PASID"), _DID, _PASID, *_PAGES),
    ),
    7: ("VT-d 6.5.2.2", (_granularity("domain", "PASID", "reserved", "global"), _DID, _PASID)),
    8: (
        "VT-d 6.5.2.6",
        (
            field("mip", (8, 4), help="maximum invalidations pending"),
            _PFSID,
            field("sid", (31, 16), help="source-id"),
            _PASID,
            field("g", 64, help="granularity", meanings={0: "one PASID", 1: "all PASIDs"}),
            field("s", 75, help="size: the lowest zero bit of ADDR tells how many pages"),
            field("addr", (127, 76, 12), help="page address"),
        ),
    ),
    9: (
        "VT-d chapter 7",
        (
            field("pp", 4, help="PASID present"),
            field("rc", (15, 12), help="response", meanings={0: "success", 1: "invalid request", 15: "failure"}),
            field("rid", (31, 16), help="requester-id"),
            _PASID,
            field("lpig", 66, help="last page in group"),
            field("prgi", (75, 67), help="page request group index"),
        ),
    ),
}


def _descriptor(size: int) -> Tagged:
    """All descriptor types in `size` bytes. Types whose layout is not known here keep their bits in `undecoded`."""
    undecoded = (
        field("undecoded_8_4", (8, 4), help="layout not known here"),
        field("undecoded", (size * 8 - 1, 12), help="layout not known here"),
    )
    cases = {
        number: BitRecord(NAMES[number], size, _TYPE, *fields, source=source)
        for number, (source, fields) in _KINDS.items()
    }
    cases[10] = BitRecord(NAMES[10], size, _TYPE, *undecoded, source="VT-d 6.5.2")
    return Tagged("type", cases, default=BitRecord("unknown", size, _TYPE, *undecoded, source="VT-d 6.5.2"))


DESCRIPTOR = _descriptor(16)
"""A 128-bit descriptor (IQA.DW=0)."""

WIDE_DESCRIPTOR = _descriptor(32)
"""A 256-bit descriptor (IQA.DW=1): the same fields; all bits above them are reserved fields."""
