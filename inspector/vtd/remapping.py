"""One unit's interrupt-remapping table as columns, and who uses each entry."""

from __future__ import annotations

from collections.abc import Mapping

from inspector.base.errors import NotHere, NotReadable
from inspector.model.vtd import Gap, VtdUnit
from inspector.targets.target import Target
from structs.arrays import np
from structs.columns import Array, columns, records, rows
from structs.frozen import frozen
from structs.irte import IRTE, REMAPPED

PAGE = 0x1000
PER_PAGE = PAGE // IRTE.size


@frozen
class RemappingTable:
    """Where a unit's interrupt-remapping table is. `irta` is the register's value, or what Xen programs into it."""

    irta: int
    base: int
    entries: int
    eime: int
    origin: str


@frozen
class Entries:
    """All entries of a table.

    Attributes:
        raw: shape (N, 16), one row of bytes an entry; zeros where memory could not be read.
        gaps: the entries that could not be read.
    """

    raw: Array
    gaps: tuple[Gap, ...] = ()

    @property
    def missing(self) -> int:
        """How many of the table's bytes could not be read."""
        return sum(gap.count for gap in self.gaps) * IRTE.size

    def has_read(self, index: int) -> bool:
        """Whether the entry of that index could be read."""
        return not any(gap.first <= index < gap.first + gap.count for gap in self.gaps)

    def used(self) -> Array:
        """Indices of the present entries (P=1), ascending."""
        return np.flatnonzero(self.raw[:, 0] & REMAPPED["p"].mask)

    def stale(self) -> int:
        """How many entries are not present and yet not all zero; Xen zeroes an entry that it frees."""
        return len(self.stale_indices())

    def stale_indices(self) -> Array:
        """Indices of the entries that are not present and yet not all zero, ascending."""
        low, high = np.ascontiguousarray(self.raw).view("<u8").T
        return np.flatnonzero((low & np.uint64(REMAPPED["p"].mask) == 0) & (low | high != 0))

    def decode(self, indices: Array) -> list[dict[str, int | str]]:
        """The entries at these indices: `index`, `format`, and each field by mnemonic, reserved ones if not zero."""
        chosen = self.raw[indices]
        modes = columns(REMAPPED, chosen, ["im"])["im"]
        decoded: dict[int, dict[str, int | str]] = {}
        for mode, record in IRTE.cases.items():
            here = modes == mode
            for index, row in zip(indices[here].tolist(), rows(columns(record, chosen[here])), strict=True):
                decoded[index] = {"index": index, "format": record.title, **record.visible(row)}
        return [decoded[index] for index in indices.tolist()]


def entries_of(unit: VtdUnit) -> Entries:
    """The table of a unit as it was found."""
    whole = np.zeros((unit.size, IRTE.size), "u1")
    for indices, raw in ((unit.indices, unit.raw), (unit.stale_indices, unit.stale_raw)):
        places = np.array(indices, int)
        known = places < len(whole)
        whole[places[known]] = records(REMAPPED, raw)[known]
    return Entries(whole, unit.gaps)


def read(target: Target, table: RemappingTable, name: str) -> Entries:
    """A whole table, in one read where possible. Raises NotHere, with the unit's name, if nothing of it can be read."""
    size = table.entries * IRTE.size
    try:
        return Entries(records(REMAPPED, target.read(table.base, size)))
    except NotReadable as error:
        pages = range(table.base, table.base + size, PAGE)
        parts = target.read_parts([(page, PAGE) for page in pages])
        if not any(parts):
            raise NotHere(
                f"{name}'s interrupt-remapping table of {size} bytes at {table.base:#x} "
                f"({table.origin}) is not in readable memory: {error.why}"
            ) from None
        raw = b"".join(part or bytes(PAGE) for part in parts)
        gaps = tuple(Gap(at * PER_PAGE, PER_PAGE) for at, part in enumerate(parts) if part is None)
        return Entries(records(REMAPPED, raw), gaps)


def bdf(sid: int) -> str:
    """A source-id as people write it: `bus:device.function`, in hex."""
    return f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"


def allowed(entry: Mapping[str, int | str]) -> str:
    """Who may use an entry, by its SVT, SQ and SID (VT-d 9.9), in words."""
    sid, sq = int(entry["sid"]), int(entry["sq"])
    match entry["svt"]:
        case 0:
            return "anyone (not checked)"
        case 1 if sq:
            return f"{bdf(sid)} and functions that differ in {('', 'bit 2', 'bits 2:1', 'bits 2:0')[sq]}"
        case 1:
            return bdf(sid)
        case 2:
            return f"buses {sid >> 8:02x} to {sid & 0xFF:02x}"
    return "nobody (SVT 3 is reserved)"
