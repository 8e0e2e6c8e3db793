"""Messages about interrupts that went wrong: no handler for a vector, APIC errors, time-outs of the invalidation queue
(`do_IRQ`, `error_interrupt`, `queue_invalidate_wait`, `iommu_fault_status`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import Damage
from inspector.targets.recorded.console.faults import SOURCE
from inspector.targets.recorded.console.key import Key, always_whole, never
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

NO_HANDLER = re.compile(r"CPU(\d{1,10}): No irq handler for vector ([0-9a-f]{2}) \(IRQ (-?\d{1,10})[^)]*\)")
APIC_ERROR = re.compile(r"APIC error on CPU(\d{1,10}): ([0-9a-f]{2})\(([0-9a-f]{2})\)")
QUEUE = re.compile(
    rf"{SOURCE}\s*(?:IOMMU#(\d{{1,10}}): QI(?: dev)? wait descriptor (?:taking too long|took \d{{1,10}}ms)|"
    r"Queue invalidate wait descriptor timed out|queue invalidate wait descriptor was not executed|"
    r"IOMMU#(\d{1,10}): no QI slot available)"
)
STATUS = re.compile(rf"{SOURCE}iommu_fault_status: (.+)")
KINDS = (("no-handler", NO_HANDLER), ("apic-error", APIC_ERROR), ("queue", QUEUE), ("status", STATUS))


@frozen
class MessageFacts:
    """A message: its kind (`no-handler`, `apic-error`, `queue`, `status`), what it says, and where and when.

    `cpu`, `vector`: where it names them; `unit`: the VT-d unit.
    """

    kind: str
    line: int
    time: str
    text: str
    cpu: int | None = None
    vector: int | None = None
    unit: int | None = None


@dataclass
class Messages:
    """All of them, in order."""

    messages: list[MessageFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Messages:
    """The messages."""
    return Messages([found for line in lines if (found := _message(line))])


KEY = Key("trouble", re.compile("|".join(f"(?:{p.pattern})" for _, p in KINDS)), never, read, always_whole)


def _message(line: Line) -> MessageFacts | None:
    for kind, pattern in KINDS:
        if found := pattern.match(line.text):
            cpu = vector = unit = None
            if kind == "no-handler":
                cpu, vector = int(found[1]), int(found[2], 16)
            elif kind == "apic-error":
                cpu = int(found[1])
            elif kind == "queue" and (number := found[1] or found[2]):
                unit = int(number)
            return MessageFacts(kind, line.number, line.time, found[0].strip(), cpu, vector, unit)
    return None
