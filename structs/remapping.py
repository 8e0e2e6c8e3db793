"""What a unit does with an interrupt-remapping entry that is present (VT-d 5.1.4, 9.9, 9.10): whom it lets use it, what
it refuses, and where the interrupt goes.

    >>> xapic = Checks(eime=False, posting=False)
    >>> entry = int.from_bytes(REMAPPED.build({"p": 1, "dlm": 3, "dst": 0x100, "svt": 1, "sid": 0xFF00}), "little")
    >>> xapic.is_malformed(entry), [str(part) for part in xapic.malformed(entry)]
    (True, ['dlm=0x3 (reserved)'])
    >>> Destination(0x10004, logical=True, x2apic=True).in_words()
    'cluster 1, member 2'
"""

from __future__ import annotations

from collections.abc import Iterator

from structs.apic import DELIVERY_MODES, XAPIC_DESTINATION, apic_id
from structs.arrays import np
from structs.bits import BitRecord
from structs.columns import Array
from structs.frozen import frozen
from structs.irte import POSTED, REMAPPED

DLM_RESERVED = tuple(value for value in range(8) if value not in DELIVERY_MODES)
SVT_NONE, SVT_SID, SVT_BUS, SVT_RESERVED = range(4)
LOWEST_VECTOR = 0x10
"""Vectors below are illegal in an interrupt message (SDM volume 3, "Valid Interrupt Vectors")."""
FIXED, LOWEST_PRIORITY, SMI, NMI, INIT, EXTINT = 0, 1, 2, 4, 5, 7

_IM, _URG = POSTED["im"].mask, POSTED["urg"].mask
_SVT, _DLM = POSTED["svt"].low, REMAPPED["dlm"].low
_SIZE, _WORD = 16, 8


@frozen
class Malformed:
    """A part of an entry for which hardware faults (0x24): a field, its value, and why, if it is no reserved bit."""

    field: str
    value: int
    why: str = ""

    def __str__(self) -> str:
        return f"{self.field}={self.value:#x}" + (f" ({self.why})" if self.why else "")


class Checks:
    """Which entries a unit refuses, by what decides it.

    Args:
        eime: IRTA.EIME, 32-bit destinations.
        posting: CAP.PI; None if that is not known: then what it decides is not looked at.
        width: the bits of a physical address that the machine has; None if that is not known.
    """

    def __init__(self, eime: bool, posting: bool | None = None, width: int | None = None) -> None:
        self.eime, self.posting, self.width = eime, posting, width
        self._zero = {0: _reserved(REMAPPED), 1: _reserved(POSTED)}
        if not eime:
            self._zero[0] |= REMAPPED["dst"].insert(0, 0xFFFF_FFFF & ~XAPIC_DESTINATION)
        if width is not None and width < POSTED["pda"].width:
            self._zero[1] |= POSTED["pda"].insert(0, (1 << POSTED["pda"].width) - (1 << max(width, 6)))
        if posting is False:
            self._zero[1] |= _IM | _URG

    def is_malformed(self, entry: int) -> bool:
        """Whether hardware faults on an entry, as an integer, with 0x24."""
        posted = bool(entry & _IM)
        if entry & self._zero[posted] or entry >> _SVT & 3 == SVT_RESERVED:
            return True
        return not posted and entry >> _DLM & 7 in DLM_RESERVED

    def malformed_rows(self, raw: Array) -> Array:
        """The same of a table, shape (N, 16): a boolean each."""
        words = np.ascontiguousarray(raw).view("<u8").reshape(-1, _SIZE // _WORD)
        posted = words[:, 0] & np.uint64(_IM) != 0
        bad = np.zeros(len(words), bool)
        for mode, zero in self._zero.items():
            masks = np.array([zero & (1 << 64) - 1, zero >> 64], "<u8")
            bad |= (posted == bool(mode)) & ((words & masks) != 0).any(axis=1)
        svt = words[:, 1] >> np.uint64(_SVT - 64) & np.uint64(3)
        dlm = words[:, 0] >> np.uint64(_DLM) & np.uint64(7)
        bad |= (svt == SVT_RESERVED) | (~posted & np.isin(dlm, DLM_RESERVED))
        return bad

    def malformed(self, entry: int) -> list[Malformed]:
        """Why hardware faults on an entry; empty if it does not."""
        return list(self._malformed(entry))

    def _malformed(self, entry: int) -> Iterator[Malformed]:
        record = POSTED if entry & _IM else REMAPPED
        for f in record.fields:
            if f.reserved and (value := f.extract(entry)):
                yield Malformed(f.name, value)
        if record is REMAPPED:
            dst, dlm = REMAPPED["dst"].extract(entry), REMAPPED["dlm"].extract(entry)
            if not self.eime and dst & ~XAPIC_DESTINATION:
                yield Malformed("dst", dst, "reserved in xAPIC mode but for bits 15:8")
            if dlm in DLM_RESERVED:
                yield Malformed("dlm", dlm, "reserved")
        else:
            pda = POSTED["pda"].extract(entry)
            if self.posting is False:
                yield Malformed("im", 1, "the unit cannot post")
                if entry & _URG:
                    yield Malformed("urg", 1, "the unit cannot post")
            if self.width is not None and pda >> max(self.width, 6):
                yield Malformed("pda", pda, f"beyond the {self.width} bits of physical addresses")
        if entry >> _SVT & 3 == SVT_RESERVED:
            yield Malformed("svt", SVT_RESERVED, "reserved")


def source_possible(svt: int, sid: int) -> bool:
    """Whether there is any requester that an entry lets use it: not if its range of buses is upside down."""
    return svt != SVT_RESERVED and (svt != SVT_BUS or sid >> 8 <= sid & 0xFF)


@frozen
class Destination:
    """Where a remapped entry sends: its DST, in physical or logical mode, and IRTA.EIME."""

    dst: int
    logical: bool
    x2apic: bool

    @property
    def id(self) -> int:
        """The APIC ID, or in logical mode the logical one."""
        return apic_id(self.dst, self.x2apic)

    @property
    def everybody(self) -> bool:
        """Whether it is a broadcast."""
        return self.id == (0xFFFF_FFFF if self.x2apic else 0xFF)

    @property
    def cluster(self) -> int | None:
        """The cluster, in x2APIC mode's logical form."""
        return self.dst >> 16 if self.logical and self.x2apic and not self.everybody else None

    @property
    def members(self) -> tuple[int, ...] | None:
        """Of its cluster, or else of the flat set of 8, who gets it, in logical mode; None for a broadcast.

        In xAPIC mode the set may be one of clusters too: that is in each APIC's DFR.
        """
        if not self.logical or self.everybody:
            return None
        return tuple(bit for bit in range(16 if self.x2apic else 8) if self.id >> bit & 1)

    @property
    def apic_ids(self) -> tuple[int, ...] | None:
        """The APIC IDs that it names; None for a broadcast and for xAPIC mode's logical form, which software assigns.

        In x2APIC mode the logical form follows from the ID (SDM volume 3, "Deriving Logical x2APIC ID").
        """
        if self.everybody or (self.logical and not self.x2apic):
            return None
        if self.cluster is None:
            return (self.id,)
        return tuple(self.cluster << 4 | member for member in self.members or ())

    def in_words(self) -> str:
        """For a reader: `APIC 0x2`, `cluster 1, members 0, 2`, `CPUs 0x3`, `all APICs`."""
        if self.everybody:
            return "all APICs"
        if self.cluster is not None:
            members = self.members or ()
            listed = ", ".join(map(str, members)) or "none"
            return f"cluster {self.cluster}, member{'s' if len(members) != 1 else ''} {listed}"
        return f"CPUs {self.id:#x}" if self.logical else f"APIC {self.id:#x}"


def _reserved(record: BitRecord) -> int:
    return sum(f.mask for f in record.fields if f.reserved)
