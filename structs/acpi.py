"""ACPI tables that lead to the DMAR: RSDP, RSDT, XSDT (ACPI 5.2.5 to 5.2.8), and what all tables share.

A table is parsed as its signature and a body whose length the table itself states. Building computes lengths, and keeps
every byte: for anything that parses, build(parse(raw)) == raw. Checksums are kept as they are; see `checksum`.

    >>> raw = XSDT.build({"signature": b"XSDT", "body": {**EMPTY_HEADER, "entries": [0x7FE1000, 0x7FE2000]}})
    >>> len(raw), HEADER.parse(raw)["length"], list(XSDT.parse(raw)["body"]["entries"]) == [0x7FE1000, 0x7FE2000]
    (52, 52, True)
    >>> checksum(with_checksum(raw)) == 0 and checksum(raw) != 0
    True

Raises (parse): construct.ConstructError if a table is shorter than its header, or than the length it states.
"""

from __future__ import annotations

from construct import (
    Bytes,
    Const,
    Construct,
    Default,
    ExprAdapter,
    GreedyBytes,
    GreedyRange,
    If,
    Int8ul,
    Int32ul,
    Int64ul,
    Prefixed,
    Struct,
    this,
)

HEADER_SIZE = 36
_CHECKSUM = 9

_AFTER_LENGTH = (
    "revision" / Int8ul,
    "checksum" / Int8ul,
    "oem_id" / Bytes(6),
    "oem_table_id" / Bytes(8),
    "oem_revision" / Int32ul,
    "creator_id" / Bytes(4),
    "creator_revision" / Int32ul,
)

HEADER = Struct("signature" / Bytes(4), "length" / Int32ul, *_AFTER_LENGTH)
"""The 36 bytes that every table begins with; `length` is the whole table's, in bytes."""

EMPTY_HEADER = {
    "revision": 1,
    "checksum": 0,
    "oem_id": bytes(6),
    "oem_table_id": bytes(8),
    "oem_revision": 0,
    "creator_id": bytes(4),
    "creator_revision": 0,
}
"""Header fields for a table that is built rather than parsed."""


def sized(length: Construct, before: int, content: Construct) -> Construct:
    """`content` behind a length field that also counts itself and what stands before it, `before` bytes together."""
    return Prefixed(ExprAdapter(length, lambda obj, ctx: obj - before, lambda obj, ctx: obj + before), content)


def table(*fields: Construct) -> Construct:
    """A table with these fields after its header.

    It parses to `signature`, `body` (the rest of the header, then the fields, then in `rest` what they do not take) and
    `trailing` (bytes beyond the length that the table states).
    """
    body = Struct(*_AFTER_LENGTH, *fields, "rest" / Default(GreedyBytes, b""))
    trailing = "trailing" / Default(GreedyBytes, b"")
    return Struct("signature" / Bytes(4), "body" / sized(Int32ul, 8, body), trailing)


RSDT = table("entries" / GreedyRange(Int32ul))
"""Root table: 32-bit physical addresses of the other tables."""

XSDT = table("entries" / GreedyRange(Int64ul))
"""Root table: 64-bit physical addresses of the other tables."""

RSDP_ALIGNMENT = 16
RSDP = Struct(
    "signature" / Const(b"RSD PTR "),
    "checksum" / Int8ul,
    "oem_id" / Bytes(6),
    "revision" / Int8ul,
    "rsdt_address" / Int32ul,
    "extended"
    / If(
        this.revision >= 2,
        Struct(
            "length" / Int32ul,
            "xsdt_address" / Int64ul,
            "checksum" / Int8ul,
            "reserved" / Bytes(3),
        ),
    ),
)
"""Root pointer. `checksum` covers the first 20 bytes, `extended.checksum` (revision 2 on) all 36."""


def checksum(raw: bytes) -> int:
    """The sum of all bytes modulo 256: 0 in a sound table."""
    return sum(raw) & 0xFF


def with_checksum(raw: bytes) -> bytes:
    """A table with its checksum byte set so that `checksum` is 0."""
    return raw[:_CHECKSUM] + bytes([raw[_CHECKSUM] - sum(raw) & 0xFF]) + raw[_CHECKSUM + 1 :]
