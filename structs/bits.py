"""Records of bit fields, written as the specifications draw them.

A field's name, position, width and meaning stand once, in a `BitRecord`. Its Construct schema (`structs.schemas`),
masks, table columns (`structs.columns`), JSON keys and help texts are derived from it.

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

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field as dataclass_field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from structs.frozen import frozen

if TYPE_CHECKING:
    from construct import Construct, Container


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
        if len(self.pieces) == 1:
            (piece,) = self.pieces
            return (record >> piece.low & ((1 << piece.width) - 1)) << piece.at
        return sum((record >> piece.low & ((1 << piece.width) - 1)) << piece.at for piece in self.pieces)

    def insert(self, record: int, value: int) -> int:
        """The record with the field set to `value`.

        Raises:
            ValueError: the value has bits that the field cannot hold.
        """
        self.check(value)
        for piece in self.pieces:
            record = record & ~(((1 << piece.width) - 1) << piece.low) | self.part(value, piece) << piece.low
        return record

    def check(self, value: int) -> None:
        """Raise ValueError if the field cannot hold `value`."""
        if value < 0 or sum(self.part(value, piece) << piece.at for piece in self.pieces) != value:
            bits = ", ".join(f"{piece.at + piece.width - 1}:{piece.at}" for piece in self.pieces)
            raise ValueError(f"{self.name} holds bits {bits} of a value only, not {value:#x}")

    @staticmethod
    def part(value: int, piece: Piece) -> int:
        """The bits of a value that a piece holds."""
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


class _Parsed(ABC):
    """What has a Construct schema, made when something is first parsed or built: Construct itself takes its time."""

    size: int

    @cached_property
    @abstractmethod
    def schema(self) -> Construct:
        """It as a Construct."""

    def parse(self, raw: bytes) -> Container:
        """The values by name. Raises construct.StreamError if fewer than `size` bytes are there."""
        return self.schema.parse(raw)

    def build(self, values: Mapping[str, int]) -> bytes:
        """The bytes. Raises construct.MappingError if a name is unknown or a value does not fit."""
        made: bytes = self.schema.build(values)
        return made

    def sizeof(self) -> int:
        """How many bytes, as a Construct has it."""
        return self.size

    def __rtruediv__(self, name: str) -> Construct:
        """`"name" / record`: a member of a Construct."""
        return name / self.schema


class BitRecord(_Parsed):
    """A little-endian record of `size` bytes, made of bit fields, that parses to a Container of integers.

    Bits that no field claims become reserved fields `rsvd_HIGH_LOW`, so that nothing is lost: for any bytes,
    `record.build(record.parse(raw)) == raw`. A field missing from what is built is 0; an unknown one is an error.
    """

    def __init__(self, title: str, size: int, *fields: Field, source: str = "") -> None:
        self.title = title
        self.size = size
        self.source = source
        self.fields = tuple(sorted((*fields, *_gaps(fields, size * 8)), key=lambda f: f.low))
        self.by_name = {f.name: f for f in self.fields}
        if len(self.by_name) != len(self.fields):
            raise ValueError(f"{title}: a field name stands twice")

    @cached_property
    def schema(self) -> Construct:
        """The record as a Construct."""
        from structs.schemas import RecordSchema

        return RecordSchema(self)

    def build(self, values: Mapping[str, int]) -> bytes:
        """As Construct builds it, but without it: that is slower and only has to say what is wrong."""
        try:
            return packed(self, values).to_bytes(self.size, "little")
        except (KeyError, ValueError):
            return super().build(values)

    def __getitem__(self, name: str) -> Field:
        return self.by_name[name]

    def values(self, record: int) -> dict[str, int]:
        """The fields of a record given as a little-endian integer: what `parse` makes of its bytes."""
        return {f.name: f.extract(record) for f in self.fields}

    def reserved(self, values: Mapping[str, int]) -> dict[str, int]:
        """The reserved fields of a parsed record that are not zero."""
        return {f.name: values[f.name] for f in self.fields if f.reserved and values[f.name]}

    def visible(self, values: Mapping[str, int]) -> dict[str, int]:
        """A parsed record without its reserved fields that are zero, as they should be."""
        return {f.name: values[f.name] for f in self.fields if values[f.name] or not f.reserved}


class Tagged(_Parsed):
    """Same-sized records told apart by a field that all of them have (IRTE.IM, a descriptor's type).

    Parses to the Container of the record that `cases[tag]` names, `default` for any other tag.
    """

    def __init__(self, tag: str, cases: Mapping[int, BitRecord], default: BitRecord | None = None) -> None:
        self.tag = tag
        self.cases = dict(cases)
        self.default = default
        self.records = (*self.cases.values(), *([default] if default else []))
        self.size = self.records[0].size
        self.field = self.records[0][tag]
        if any(record.size != self.size or record[tag].mask != self.field.mask for record in self.records):
            raise ValueError(f"records told apart by {tag} differ in size or in where {tag} is")

    @cached_property
    def schema(self) -> Construct:
        """The records as one Construct."""
        from structs.schemas import TaggedSchema

        return TaggedSchema(self)

    def select(self, tag: int) -> BitRecord:
        """The record that the tag's value selects. Raises construct.MappingError if there is none."""
        record = self.cases.get(tag, self.default)
        if record is None:
            from construct import MappingError

            raise MappingError(f"no record has {self.tag} = {tag}")
        return record

    def values(self, record: int) -> dict[str, int]:
        """The fields of a record given as a little-endian integer: what `parse` makes of its bytes."""
        return self.select(self.field.extract(record)).values(record)

    def record_of(self, raw: bytes) -> BitRecord:
        """The record that describes these bytes."""
        return self.select(self.field.extract(int.from_bytes(raw, "little")))


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


def packed_bytes(record: BitRecord, values: Mapping[str, int]) -> bytes:
    """`packed` as the record's bytes: what `record.build` makes, without Construct's time. Raises ValueError as it."""
    return packed(record, values).to_bytes(record.size, "little")


def reserved_mask(record: BitRecord) -> int:
    """All reserved bits of a record."""
    return sum(field.mask for field in record.fields if field.reserved)
