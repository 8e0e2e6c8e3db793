"""The debug key `M`: every MSI as Xen set it up (`dump_msi`).

4.2 calls it "PCI-MSI interrupt information" and masks are three digits; 4.3 to 4.5 have a character last; from 4.6 on
the middle one is two letters: H masked by Xen, G masked by the guest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import CUT_OFF, Damage, match
from inspector.targets.recorded.console.key import Key, at
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

HEADER = r"(?:PCI-)?MSI (?:interrupt )?information:"
START = r"\s*(?:MSI-X|MSIX|MSI\??|HPET|IOMMU|\?\?\?)\s+\d{1,10} vec=?"
ROW = re.compile(
    r"\s*(MSI-X|MSIX|MSI\??|HPET|IOMMU|\?\?\?)\s+(\d{1,10}) vec=([0-9a-f]{2})\s*(lowest|fixed)\s*(level|edge)"
    r"\s*(de)?assert\s*(log|phys)\s*(lowest|cpu) dest=([0-9a-f]{8}) mask=(\d)/(\d|[H ][G ])/(\d|\?|-1)"
)
KINDS = {"MSIX": "MSI-X", "MSI?": "???"}


@frozen
class MsiFacts:
    """An MSI.

    Attributes:
        kind: `MSI`, `MSI-X`, `HPET`, `IOMMU`.
        vector, lowest, level, logical, dest: of the message that the device would send without remapping.
        maskable: whether its device can mask it.
        host_masked, guest_masked: who has it masked, as Xen remembers; both the same before 4.6, which knew one mask.
        masked: whether it is masked at the device; None if that cannot be told.
    """

    irq: int
    kind: str
    vector: int
    lowest: bool
    level: bool
    logical: bool
    dest: int
    maskable: bool
    host_masked: bool
    guest_masked: bool
    masked: bool | None


@dataclass
class Msis:
    """What an answer to `M` says."""

    headed: bool = False
    rows: list[MsiFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Msis:
    """The rows."""
    found = Msis(bool(re.match(HEADER, lines[0].text)))
    for line in lines:
        if not re.match(HEADER, line.text) and (row := match(ROW, line, found.damaged)):
            found.rows.append(_row(row))
    return found


def cut(facts: Msis, earlier: Msis | None) -> str | None:
    """A header without rows, an end in the middle of a line, or no header at all."""
    if not facts.headed:
        return "its beginning is not in the log"
    if not facts.rows and earlier and earlier.rows:
        return "no row is in it"
    return next((str(d) for d in facts.damaged if d.done == CUT_OFF), None)


KEY = Key("M", re.compile(f"{HEADER}|{START}"), at(HEADER), read, cut)


def _row(row: re.Match[str]) -> MsiFacts:
    middle = row[11]
    old = middle.isdigit()
    return MsiFacts(
        irq=int(row[2]),
        kind=KINDS.get(row[1], row[1]),
        vector=int(row[3], 16),
        lowest=row[4] == "lowest",
        level=row[5] == "level",
        logical=row[7] == "log",
        dest=int(row[9], 16),
        maskable=row[10] != "0",
        host_masked=middle != "0" if old else "H" in middle,
        guest_masked=middle != "0" if old else "G" in middle,
        masked={"0": False, "1": True}.get(row[12]),
    )
