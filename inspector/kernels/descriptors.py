"""Posted-interrupt descriptors out of memory, many at once."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.model.snapshot import Descriptor
from inspector.targets.target import Target
from structs.columns import columns
from structs.pi_desc import PI_DESC, vectors


def read_descriptors(target: Target, places: Sequence[int]) -> list[Descriptor]:
    """The descriptors at physical addresses; those that cannot be read are left out."""
    parts = target.read_parts([(place, PI_DESC.size) for place in places])
    return decode_descriptors([(place, part) for place, part in zip(places, parts, strict=True) if part is not None])


def decode_descriptors(read: Sequence[tuple[int, bytes]]) -> list[Descriptor]:
    """Descriptors from their physical addresses and 64 bytes each."""
    table = columns(PI_DESC, b"".join(raw for _, raw in read), ["on", "sn", "nv", "ndst"])
    fields = zip(*(column.tolist() for column in table.values()), strict=True)
    reserved = sum(f.mask for f in PI_DESC.fields if f.reserved)
    made = []
    for (place, raw), (on, sn, nv, ndst) in zip(read, fields, strict=True):
        whole = int.from_bytes(raw, "little")
        made.append(
            Descriptor(place, tuple(vectors(PI_DESC["pir"].extract(whole))), on, sn, nv, ndst, whole & reserved)
        )
    return made
