"""Records of bit fields as Construct schemas."""

from __future__ import annotations

from collections.abc import Mapping
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

from structs.bits import BitRecord, Field, Piece, Tagged


class RecordSchema(Adapter):
    """A record of bit fields: it parses to a Container of integers. See `BitRecord`."""

    def __init__(self, record: BitRecord) -> None:
        pieces = sorted(((p.low, _key(f, p), p.width) for f in record.fields for p in f.pieces), reverse=True)
        super().__init__(ByteSwapped(BitStruct(*(key / BitsInteger(width) for _, key, width in pieces))))
        self.record = record

    def _decode(self, obj: Mapping[str, int], context: Any, path: str) -> Container:
        return Container((f.name, sum(obj[_key(f, p)] << p.at for p in f.pieces)) for f in self.record.fields)

    def _encode(self, obj: Mapping[str, int], context: Any, path: str) -> dict[str, int]:
        record = self.record
        unknown = [name for name in obj if name not in record.by_name and not name.startswith("_")]
        if unknown:
            raise MappingError(f"{record.title} has no field {unknown[0]!r}", path=path)
        try:
            for name, f in record.by_name.items():
                f.check(obj.get(name, 0))
        except ValueError as error:
            raise MappingError(f"{record.title}: {error}", path=path) from error
        return {_key(f, p): Field.part(obj.get(f.name, 0), p) for f in record.fields for p in f.pieces}


class TaggedSchema(Construct):
    """Same-sized records told apart by a field: it parses to what the record of these bytes does. See `Tagged`."""

    def __init__(self, tagged: Tagged) -> None:
        super().__init__()
        self.tagged = tagged

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        raw = stream_read(stream, self.tagged.size, path)
        return self.tagged.record_of(raw).parse(raw)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        record = self.tagged.select(obj.get(self.tagged.tag, 0))
        stream_write(stream, record.build(obj), self.tagged.size, path)
        return obj

    def _sizeof(self, context: Any, path: str) -> int:
        return self.tagged.size


def _key(f: Field, piece: Piece) -> str:
    return f.name if len(f.pieces) == 1 else f"{f.name}_{piece.low}"
