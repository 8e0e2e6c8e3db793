"""A decoded record, field by field, for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from inspector.model.answer import Table
from structs.bits import BitRecord, Field

COLUMNS = ("BITS", "FIELD", "VALUE", "MEANING")
LONGEST = len("0x") + 16
"""A longer value is a bitmap, such as PIR."""


def table(record: BitRecord, values: Mapping[str, int], title: str = "") -> Table:
    """Every field with its bits, value and meaning, from the highest bit down; reserved fields only if not zero."""
    shown = (f for f in reversed(record.fields) if not f.reserved or values[f.name])
    rows = [(bits(f), f.name, number(values[f.name]), meaning(f, values[f.name])) for f in shown]
    short = [value if len(value) <= LONGEST else f"{int(value, 0).bit_count()} bits set" for _, _, value, _ in rows]
    return Table(COLUMNS, rows, title, frozenset({"BITS", "VALUE"}), {"VALUE": short})


def bits(f: Field) -> str:
    """Where a field's bits are, as the specification writes it: `63:32`."""
    pieces = sorted(f.pieces, key=lambda piece: -piece.low)
    return " ".join(f"{piece.high}:{piece.low}" if piece.width > 1 else str(piece.low) for piece in pieces)


def number(value: int) -> str:
    """A value in hex, except for a single digit."""
    return f"{value:#x}" if value > 9 else str(value)


def meaning(f: Field, value: int) -> str:
    """What the value stands for, then what the field is."""
    if f.reserved:
        return "RESERVED, but not zero"
    named = f.meanings.get(value, "no known meaning") if f.meanings else ""
    return "; ".join(part for part in (named, f.help) if part)


def set_fields(record: BitRecord, values: Mapping[str, int]) -> str:
    """The fields that are not zero, on one line, reserved ones marked: `ires irtps s=0xf rsvd_22_0=1!`."""
    return " ".join(_set_fields(record, values))


def _set_fields(record: BitRecord, values: Mapping[str, int]) -> Iterator[str]:
    for f in reversed(record.fields):
        value = values[f.name]
        if value:
            yield (f.name if f.width == 1 else f"{f.name}={number(value)}") + ("!" if f.reserved else "")
