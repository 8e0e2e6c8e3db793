"""A table of N records decoded at once: one NumPy column for each field of its schema, without a loop over records.

>>> from structs.irte import POSTED, REMAPPED
>>> table = REMAPPED.build({"p": 1, "vector": 0x40, "dst": 0x200}) + bytes(16) + POSTED.build(
...     {"p": 1, "im": 1, "vector": 0x31, "pda": 0x1_2345_6780})
>>> raw = records(REMAPPED, table)
>>> first = columns(REMAPPED, raw, ["p", "im"])
>>> first["p"].tolist(), first["im"].tolist()
([1, 0, 1], [0, 0, 1])
>>> posted = columns(POSTED, raw[(first["p"] == 1) & (first["im"] == 1)], ["vector", "pda"])
>>> rows(posted)
[{'vector': 49, 'pda': 4886718336}]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from mmap import mmap
from typing import TYPE_CHECKING, Any, TypeAlias

from structs.arrays import np
from structs.bits import BitRecord, Field, Piece

if TYPE_CHECKING:
    import numpy.typing as npt

Array: TypeAlias = "npt.NDArray[Any]"
Buffer: TypeAlias = "bytes | bytearray | memoryview | mmap | Array"
_WORD = 64


def records(record: BitRecord, buffer: Buffer) -> Array:
    """A buffer as an (N, record.size) array of bytes that shares its memory: to select records from by a boolean index.

    Raises:
        ValueError: the buffer is not a whole number of records, or not contiguous.
    """
    try:
        data = np.frombuffer(buffer, np.uint8)
    except BufferError as error:
        raise ValueError(str(error)) from error
    if data.size % record.size:
        raise ValueError(f"{data.size} bytes are not a whole number of {record.size}-byte {record.title} records")
    return data.reshape(-1, record.size)


def columns(record: BitRecord, buffer: Buffer, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Decode N records: field name -> array of N values, in the order of `names` (all fields if None).

    A column has the smallest of the types <u1, <u2, <u4, <u8 that holds the field. A field wider than 64 bits has shape
    (N, words) and type <u8, the word with the lowest bits first. Columns do not share the buffer's memory.

    Raises:
        ValueError: as `records`.
        KeyError: the record has no field of that name.
    """
    raw = records(record, buffer)
    wanted = record.fields if names is None else [record[name] for name in names]
    return {field.name: _column(field, raw) for field in wanted}


def rows(columns: Mapping[str, Array]) -> list[dict[str, int]]:
    """Columns turned back into one dict of plain integers a record, equal to what the schema parses.

    This does loop over the records: select first those that are to be shown.
    """
    values = [
        column.tolist() if column.ndim == 1 else [_join(words) for words in column] for column in columns.values()
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _column(field: Field, raw: Array) -> Array:
    count, size = raw.shape
    words = -(-field.width // _WORD)
    dtype = np.dtype("<u8") if words > 1 else _smallest(field.width)
    unit = min(8, size & -size)
    pieces = list(_split(field, unit * 8))
    if len(pieces) == 1 and words == 1:
        return _take(raw, unit, pieces[0], dtype)
    out = np.zeros((count, words), dtype)
    for piece in pieces:
        out[:, piece.at // _WORD] |= _take(raw, unit, Piece(piece.high, piece.low, piece.at % _WORD), dtype)
    return out if words > 1 else out[:, 0]


def _take(raw: Array, unit: int, piece: Piece, dtype: np.dtype[Any]) -> Array:
    """One piece of every record, at its place in the value; read from the smallest aligned integer that holds it."""
    width = next(b for b in (1, 2, 4, 8) if b == unit or piece.low // (8 * b) == piece.high // (8 * b))
    start = piece.low // (8 * width) * width
    holder = raw[:, start : start + width].view(f"<u{width}")[:, 0]
    low = piece.low - 8 * start
    kind = holder.dtype.type
    if low:
        holder = holder >> kind(low)
    if low + piece.width < 8 * width:
        holder = holder & kind((1 << piece.width) - 1)
    value = holder.astype(dtype)
    return value << dtype.type(piece.at) if piece.at else value


def _split(field: Field, bits: int) -> Iterator[Piece]:
    """The field's pieces, cut where the record's aligned units of `bits` bits end and where the value's words do."""
    for piece in field.pieces:
        low, at = piece.low, piece.at
        while low <= piece.high:
            width = min(piece.high + 1 - low, bits - low % bits, _WORD - at % _WORD)
            yield Piece(low + width - 1, low, at)
            low, at = low + width, at + width


def _smallest(width: int) -> np.dtype[Any]:
    return np.dtype(next(f"<u{b}" for b in (1, 2, 4, 8) if width <= 8 * b))


def _join(words: Array) -> int:
    return int.from_bytes(words.tobytes(), "little")
