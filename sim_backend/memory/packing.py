"""The schemas' fields read and written fast, where a run spends its time: the same bits as Construct's, as integers.

>>> from structs.irte import POSTED
>>> entry = packed(POSTED, {"p": 1, "im": 1, "vector": 0x31, "pda": 0x1_2345_6780})
>>> hex(reader(POSTED["pda"])(entry)), hex(reserved_mask(POSTED) & 0xFFFF)
('0x123456780', '0x30fc')
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from structs.bits import BitRecord, Field


def reader(field: Field) -> Callable[[int], int]:
    """`field.extract`, made fast."""
    parts = [(piece.low, (1 << piece.width) - 1, piece.at) for piece in field.pieces]
    if len(parts) == 1:
        ((low, mask, at),) = parts
        return lambda record: (record >> low & mask) << at
    (low, mask, at), (low2, mask2, at2) = parts
    return lambda record: (record >> low & mask) << at | (record >> low2 & mask2) << at2


def packed(record: BitRecord, values: Mapping[str, int]) -> int:
    """A record with these fields, the others 0. Raises ValueError if a value does not fit."""
    number = 0
    for name, value in values.items():
        number = record[name].insert(number, value)
    return number


def reserved_mask(record: BitRecord) -> int:
    """All reserved bits of a record."""
    return sum(field.mask for field in record.fields if field.reserved)
