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
from functools import cache
from mmap import mmap
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

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
    wanted = [field.name for field in record.fields] if names is None else names
    return {name: _column(_reading(record, name), raw) for name in wanted}


def rows(columns: Mapping[str, Array]) -> list[dict[str, int]]:
    """Columns turned back into one dict of plain integers a record, equal to what the schema parses.

    This does loop over the records: select first those that are to be shown.
    """
    values = [
        column.tolist() if column.ndim == 1 else [_join(words) for words in column] for column in columns.values()
    ]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


class _Take(NamedTuple):
    """Where a piece of a field is read: the smallest aligned integer that holds it, and its place in the value."""

    start: int
    width: int
    low: int
    mask: int
    word: int
    at: int


class _Reading(NamedTuple):
    """How a field is read from records: its type, how many words it has, its pieces."""

    dtype: np.dtype[Any]
    words: int
    takes: tuple[_Take, ...]


@cache
def _reading(record: BitRecord, name: str) -> _Reading:
    field = record[name]
    words = -(-field.width // _WORD)
    unit = min(8, record.size & -record.size)
    takes = tuple(_take(piece, unit) for piece in _split(field, unit * 8))
    return _Reading(np.dtype("<u8") if words > 1 else _smallest(field.width), words, takes)


def _take(piece: Piece, unit: int) -> _Take:
    width = next(b for b in (1, 2, 4, 8) if b == unit or piece.low // (8 * b) == piece.high // (8 * b))
    start = piece.low // (8 * width) * width
    mask = (1 << piece.width) - 1
    return _Take(start, width, piece.low - 8 * start, mask, piece.at // _WORD, piece.at % _WORD)


def _column(reading: _Reading, raw: Array) -> Array:
    dtype, words, takes = reading
    if len(takes) == 1 and words == 1:
        return _taken(takes[0], raw, dtype)
    out = np.zeros((len(raw), words), dtype)
    for take in takes:
        out[:, take.word] |= _taken(take, raw, dtype)
    return out if words > 1 else out[:, 0]


def _taken(take: _Take, raw: Array, dtype: np.dtype[Any]) -> Array:
    """One piece of every record, at its place in the value."""
    holder = raw[:, take.start : take.start + take.width].view(f"<u{take.width}")[:, 0]
    kind = holder.dtype.type
    if take.low:
        holder = holder >> kind(take.low)
    if take.low + take.mask.bit_length() < 8 * take.width:
        holder = holder & kind(take.mask)
    value = holder.astype(dtype)
    return value << dtype.type(take.at) if take.at else value


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
