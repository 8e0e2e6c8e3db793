"""Records of bit fields, written as the specifications draw them.

A field's name, position, width and meaning stand once, in a `BitRecord`: a Construct schema that can also be asked for
its fields. Masks, table columns (`structs.columns`), JSON keys and help texts are derived from it.

    >>> record = BitRecord("demo", 1, field("p", 0, help="present"), field("dlm", (7, 5), meanings={0: "fixed"}))
    >>> dict(record.parse(b"\\xe1"))
    {'p': 1, 'rsvd_4_1': 0, 'dlm': 7}
    >>> record.build({"dlm": 7, "p": 1})
    b'\\xe1'
    >>> hex(record["dlm"].mask)
    '0xe0'

Where a run spends its time, fields are read and written as integers:

    >>> entry = packed(record, {"p": 1, "dlm": 5})
    >>> hex(entry), reader(record["dlm"])(entry), hex(reserved_mask(record))
    ('0xa1', 5, '0x1e')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field as dataclass_field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from construct import (
    Adapter,
    BitsInteger,
    BitStruct,
    ByteSwapped,
    Construct,
    Container,
    MappingError,
    stream_read,
    stream_write,
)

from structs.frozen import frozen


@frozen
class Piece:
    """Bits `high`..`low` of a record, which are bits `at`.. of a field's value."""

    high: int
    low: int
    at: int = 0

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.high - self.low + 1


@frozen
class Field:
    """One field of a record: its name, where its bits are, what they mean.

    Most fields have one piece with `at` 0. An address whose low bits are implied has `at` > 0; a field that the
    specification splits (PDA, an interrupt index) has several pieces.
    """

    name: str
    pieces: tuple[Piece, ...]
    help: str = ""
    meanings: Mapping[int, str] = dataclass_field(default_factory=lambda: MappingProxyType({}))
    reserved: bool = False

    @property
    def width(self) -> int:
        """Bits of the field's value, implied low bits included."""
        return max(piece.at + piece.width for piece in self.pieces)

    @property
    def low(self) -> int:
        """The lowest bit of the record that belongs to the field."""
        return min(piece.low for piece in self.pieces)

    @property
    def mask(self) -> int:
        """The field's bits within the whole record, as an integer."""
        return sum(((1 << piece.width) - 1) << piece.low for piece in self.pieces)

    def extract(self, record: int) -> int:
        """The field's value in a record given as a little-endian integer."""
        return sum((record >> piece.low & ((1 << piece.width) - 1)) << piece.at for piece in self.pieces)

    def insert(self, record: int, value: int) -> int:
        """The record with the field set to `value`.

        Raises:
            ValueError: the value has bits that the field cannot hold.
        """
        self.check(value)
        for piece in self.pieces:
            record = record & ~(((1 << piece.width) - 1) << piece.low) | self._part(value, piece) << piece.low
        return record

    def check(self, value: int) -> None:
        """Raise ValueError if the field cannot hold `value`."""
        if value < 0 or sum(self._part(value, piece) << piece.at for piece in self.pieces) != value:
            bits = ", ".join(f"{piece.at + piece.width - 1}:{piece.at}" for piece in self.pieces)
            raise ValueError(f"{self.name} holds bits {bits} of a value only, not {value:#x}")

    @staticmethod
    def _part(value: int, piece: Piece) -> int:
        return value >> piece.at & ((1 << piece.width) - 1)


def field(
    name: str,
    *where: int | tuple[int, int] | tuple[int, int, int],
    help: str = "",
    meanings: Mapping[int, str] | None = None,
) -> Field:
    """Declare a field; each of `where` is a bit, `(high, low)` or `(high, low, at)`: `at` is the value's lowest bit."""
    pieces = tuple(Piece(w, w) if isinstance(w, int) else Piece(*w) for w in where)
    return Field(name, pieces, help, MappingProxyType(dict(meanings or {})))


class BitRecord(Adapter):
    """A little-endian record of `size` bytes, made of bit fields: a Construct that parses to a Container of integers.

    Bits that no field claims become reserved fields `rsvd_HIGH_LOW`, so that nothing is lost: for any bytes,
    `record.build(record.parse(raw)) == raw`. A field missing from what is built is 0; an unknown one is an error.

    Raises (parse): construct.StreamError if fewer than `size` bytes are there.
    Raises (build): construct.MappingError if a name is unknown or a value does not fit.
    """

    def __init__(self, title: str, size: int, *fields: Field, source: str = "") -> None:
        self.title = title
        self.size = size
        self.source = source
        self.fields = tuple(sorted((*fields, *_gaps(fields, size * 8)), key=lambda f: f.low))
        self.by_name = {f.name: f for f in self.fields}
        if len(self.by_name) != len(self.fields):
            raise ValueError(f"{title}: a field name stands twice")
        # Of Adapter's own __init__ what is left when the schema within is made later.
        Construct.__init__(self)

    @cached_property
    def subcon(self) -> Construct:
        """The schema of the pieces, made when something is first parsed or built."""
        pieces = sorted(((p.low, _key(f, p), p.width) for f in self.fields for p in f.pieces), reverse=True)
        return ByteSwapped(BitStruct(*(key / BitsInteger(width) for _, key, width in pieces)))

    def __getitem__(self, name: str) -> Field:
        return self.by_name[name]

    def reserved(self, values: Mapping[str, int]) -> dict[str, int]:
        """The reserved fields of a parsed record that are not zero."""
        return {f.name: values[f.name] for f in self.fields if f.reserved and values[f.name]}

    def visible(self, values: Mapping[str, int]) -> dict[str, int]:
        """A parsed record without its reserved fields that are zero, as they should be."""
        return {f.name: values[f.name] for f in self.fields if values[f.name] or not f.reserved}

    def _decode(self, obj: Mapping[str, int], context: Any, path: str) -> Container:
        return Container((f.name, sum(obj[_key(f, p)] << p.at for p in f.pieces)) for f in self.fields)

    def _encode(self, obj: Mapping[str, int], context: Any, path: str) -> dict[str, int]:
        unknown = [name for name in obj if name not in self.by_name and not name.startswith("_")]
        if unknown:
            raise MappingError(f"{self.title} has no field {unknown[0]!r}", path=path)
        try:
            for name, f in self.by_name.items():
                f.check(obj.get(name, 0))
        except ValueError as error:
            raise MappingError(f"{self.title}: {error}", path=path) from error
        return {_key(f, p): Field._part(obj.get(f.name, 0), p) for f in self.fields for p in f.pieces}


class Tagged(Construct):
    """Same-sized records told apart by a field that all of them have (IRTE.IM, a descriptor's type).

    Parses to the Container of the record that `cases[tag]` names, `default` for any other tag.
    """

    def __init__(self, tag: str, cases: Mapping[int, BitRecord], default: BitRecord | None = None) -> None:
        super().__init__()
        self.tag = tag
        self.cases = dict(cases)
        self.default = default
        self.records = (*self.cases.values(), *([default] if default else []))
        self.size = self.records[0].size
        self.field = self.records[0][tag]
        if any(record.size != self.size or record[tag].mask != self.field.mask for record in self.records):
            raise ValueError(f"records told apart by {tag} differ in size or in where {tag} is")

    def select(self, tag: int) -> BitRecord:
        """The record that the tag's value selects. Raises construct.MappingError if there is none."""
        record = self.cases.get(tag, self.default)
        if record is None:
            raise MappingError(f"no record has {self.tag} = {tag}")
        return record

    def record_of(self, raw: bytes) -> BitRecord:
        """The record that describes these bytes."""
        return self.select(self.field.extract(int.from_bytes(raw, "little")))

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raw = stream_read(stream, self.size, path)
        return self.record_of(raw).parse(raw)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        stream_write(stream, self.select(obj.get(self.tag, 0)).build(obj), self.size, path)
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        return self.size


def _key(f: Field, piece: Piece) -> str:
    return f.name if len(f.pieces) == 1 else f"{f.name}_{piece.low}"


def _gaps(fields: Iterable[Field], bits: int) -> list[Field]:
    """Reserved fields for the bits that no field claims. Raises ValueError if two fields claim one bit."""
    gaps = []
    next_free = 0
    claimed = sorted((p for f in fields for p in f.pieces), key=lambda p: p.low)
    if any(p.high < p.low or p.high >= bits for p in claimed):
        raise ValueError(f"a field lies outside the record's {bits} bits")
    for piece in (*claimed, Piece(bits, bits)):
        if piece.low < next_free:
            raise ValueError(f"two fields claim bit {piece.low}")
        if piece.low > next_free:
            high, low = piece.low - 1, next_free
            name = f"rsvd_{high}_{low}" if high > low else f"rsvd_{low}"
            gaps.append(Field(name, (Piece(high, low),), "reserved, must be zero", reserved=True))
        next_free = piece.high + 1
    return gaps


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
