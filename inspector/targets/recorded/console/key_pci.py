"""The debug key `Q`: every PCI device, its owner and its MSIs (`dump_pci_devices`).

The owner is `dom N` up to 4.12, then `dN`, `d[IO]` or, in quarantine, `DomIO:x`; `node N` from 4.6 on; from 4.16 on
no MSIs part if there are none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import CUT_OFF, Damage, match
from inspector.targets.recorded.console.key import Key, at
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

HEADER = r"==== PCI devices ===="
SEGMENT = r"==== segment [0-9a-f]+ ===="
START = r"\s*[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] - "
ROW = re.compile(
    r"\s*([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7]) - "
    r"(?:dom\s*(\d{1,10})|d(\d{1,10})|(d\[\w+\]|DomIO:[0-9a-f]+|Dom(?:IO|XEN|COW)))"
    r"(?: *- node\s+(-?\d{1,10}))?(?: *- MSIs < ((?:\d{1,10} )*)>)?\s*"
)


@frozen
class DeviceFacts:
    """A device: seg << 16 | bus << 8 | devfn. `domain` is None for one that no domain has; then `owner` says who."""

    sbdf: int
    domain: int | None
    owner: str
    node: int | None
    irqs: tuple[int, ...]


@dataclass
class Devices:
    """What an answer to `Q` says."""

    headed: bool = False
    devices: list[DeviceFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Devices:
    """The devices."""
    found = Devices(bool(re.match(HEADER, lines[0].text)))
    for line in lines:
        if re.match(START, line.text) and (row := match(ROW, line, found.damaged)):
            found.devices.append(_device(row))
    return found


def cut(facts: Devices, earlier: Devices | None) -> str | None:
    """A header without devices, an end in the middle of a line, or no header at all."""
    if not facts.headed:
        return "its beginning is not in the log"
    if not facts.devices:
        return "no device is in it"
    return next((str(d) for d in facts.damaged if d.done == CUT_OFF), None)


KEY = Key("Q", re.compile(f"{HEADER}|{SEGMENT}|{START}"), at(HEADER), read, cut)


def _device(row: re.Match[str]) -> DeviceFacts:
    sbdf = int(row[1], 16) << 16 | int(row[2], 16) << 8 | int(row[3], 16) << 3 | int(row[4])
    number = row[5] or row[6]
    domain = int(number) if number else None
    irqs = tuple(int(word) for word in (row[9] or "").split())
    return DeviceFacts(sbdf, domain, f"d{domain}" if number else row[7], int(row[8]) if row[8] else None, irqs)
