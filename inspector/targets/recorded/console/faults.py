"""Fault messages of VT-d units: two lines each, as Xen's fault handler prints them (`iommu_page_fault_do_one`).

Up to 4.3 `..., iommu reg = p` and `[fault reason 22h]`, behind a file and line in debug builds; up to 4.12 `..., iommu
reg = p` and `reason 22 - ...`; then without the address; from 4.23 on the second line ends with `on iommu:N`. Reasons
that Xen has no text for, 0x27 and 0x28 too, are of kind UNKNOWN, and an index is still in bits 63:48 of the address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import Damage
from inspector.targets.recorded.console.key import Key, always_whole, never
from inspector.targets.recorded.console.lines import Line
from structs.faults import BLOCKED_COMPATIBILITY, INTERRUPT_REASONS
from structs.frozen import frozen

SOURCE = r"(?:\[VT-D\]\s*)?(?:\S+\.c:\d{1,10}:\s*)?(?:d\S+ )?"
REQUEST = re.compile(
    rf"{SOURCE}(?P<kind>INTR-REMAP|DMAR|UNKNOWN):\s*(?:\[(?P<way>DMA Read|DMA Write)\] )?Request device "
    r"\[(?P<device>[0-9a-f]{2,4}:[0-9a-f]{2}(?::[0-9a-f]{2})?\.[0-7])\] fault "
    r"(?P<what>index|addr) (?P<value>[0-9a-f]{1,16})"
    r"(?:, iommu reg = (?P<reg>[0-9a-f]{1,16}))?"
)
REASON = re.compile(
    rf"{SOURCE}(?P<kind>INTR-REMAP|DMAR|UNKNOWN):\s*(?:\[fault reason (?P<old>[0-9a-f]{{2}})h\]|"
    r"reason (?P<new>[0-9a-f]{2}) -)"
    r" ?(?P<text>.*?)(?: on iommu:(?P<unit>\d{1,10}))?"
)
START = rf"{SOURCE}(?:INTR-REMAP|DMAR|UNKNOWN):"
DEVICE = re.compile(r"(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])")


@frozen
class FaultFacts:
    """A fault.

    Attributes:
        line, time: where the log has it, and when.
        sbdf: who asked: seg << 16 | bus << 8 | devfn.
        reason: None if its second line is not in the log.
        index: of an interrupt; `address` of a DMA request, `read` if it was one.
        unit: which unit, where Xen says so.
    """

    line: int
    time: str
    sbdf: int
    reason: int | None
    index: int | None
    address: int | None
    read: bool | None
    unit: int | None


@dataclass
class Faults:
    """All fault messages, in order."""

    faults: list[FaultFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Faults:
    """The faults: a request with the next reason of its kind."""
    found = Faults()
    waiting: dict[str, tuple[Line, re.Match[str]]] = {}
    for line in lines:
        request = REQUEST.fullmatch(line.text)
        reason = None if request else REASON.fullmatch(line.text)
        if request:
            if earlier := waiting.pop(request["kind"], None):
                found.faults.append(_fault(*earlier, None))
            waiting[request["kind"]] = (line, request)
        elif reason and (asked := waiting.pop(reason["kind"], None)):
            found.faults.append(_fault(*asked, reason))
        else:
            why = "left out: the request that it is the reason of is not in the log" if reason else "left out"
            found.damaged.append(Damage(line.number, line.text, why))
    found.faults += [_fault(*asked, None) for asked in waiting.values()]
    found.faults.sort(key=lambda fault: fault.line)
    return found


KEY = Key("faults", re.compile(START), never, read, always_whole)


def _fault(line: Line, request: re.Match[str], reason: re.Match[str] | None) -> FaultFacts:
    segment, bus, device, function = DEVICE.fullmatch(request["device"]).groups()  # type: ignore[union-attr]
    code = int(reason["new"] or reason["old"], 16) if reason else None
    value = int(request["value"], 16)
    index: int | None = None
    address: int | None = None
    if request["what"] == "index":
        index = value
    elif code in INTERRUPT_REASONS:
        index = value >> 48
    else:
        address = value
    return FaultFacts(
        line.number,
        line.time,
        int(segment or "0", 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function),
        code,
        None if code == BLOCKED_COMPATIBILITY else index,
        address,
        request["way"] == "DMA Read" if request["way"] else None,
        int(reason["unit"]) if reason and reason["unit"] else None,
    )
