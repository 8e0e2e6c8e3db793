"""Faults, and other trouble that Xen reported, as tables: what `faults` shows of every target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.analysis.faults import Fault, faults
from inspector.model.answer import Block, Table
from inspector.model.reports import Message
from inspector.model.snapshot import Snapshot
from inspector.vtd.remapping import bdf

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("COUNT", "UNIT", "DEVICE", "OWNER", "REASON", "WHAT", "ENTRY", "MEANING", "FIRST", "LAST", "WHAT TO DO")
MESSAGE_COLUMNS = ("COUNT", "MESSAGE", "FIRST", "LAST", "WHAT TO DO")

ADVICE = {
    "no-handler": "which entry sends that vector there: `route vector {vector:#x}`",
    "apic-error": "a message with a vector below 0x10, or to nobody, arrived: `audit`, `irqs --vector 0`",
    "queue": "an invalidation did not end: a device with ATS that does not answer, or the unit hangs: `queue`, `regs`",
    "status": "look at the faults beside it",
}


def kinds(snapshot: Snapshot) -> list[documents.FaultKind]:
    """What `--json` prints of the faults."""
    return [_document(fault) for fault in faults(snapshot)]


def messages(snapshot: Snapshot) -> list[documents.Trouble]:
    """What `--json` prints of other trouble."""
    return [_trouble(message) for message in snapshot.messages]


def blocks(snapshot: Snapshot) -> list[Block]:
    """The tables; none if nothing was reported."""
    found: list[Block] = []
    if told := faults(snapshot):
        found.append(Table(COLUMNS, [_row(fault) for fault in told], "faults", frozenset({"COUNT"})))
    if snapshot.messages:
        rows = [_message(message) for message in snapshot.messages]
        found.append(Table(MESSAGE_COLUMNS, rows, "other trouble", frozenset({"COUNT"})))
    return found


def device(sbdf: int) -> str:
    """A device with its segment, if that is not 0."""
    segment = sbdf >> 16
    return (f"{segment:04x}:" if segment else "") + bdf(sbdf & 0xFFFF)


def _row(fault: Fault) -> Sequence[str]:
    return (
        str(fault.count),
        "-" if fault.unit is None else str(fault.unit),
        device(fault.device) + (f" ({fault.source})" if fault.source else ""),
        fault.owner or "-",
        "-" if fault.reason is None else f"{fault.reason:#04x}",
        _what(fault),
        fault.entry or "-",
        fault.meaning,
        fault.first or "-",
        fault.last or "-",
        fault.advice,
    )


def _what(fault: Fault) -> str:
    if fault.address is not None:
        way = "DMA" if fault.read is None else "DMA read of" if fault.read else "DMA write to"
        return f"{way} {fault.address:#x}"
    return "interrupt" if fault.index is None else f"interrupt, index {fault.index:#x}"


def _message(message: Message) -> Sequence[str]:
    advice = ADVICE.get(message.kind, "").format(vector=message.vector or 0)
    return str(message.count), message.text, message.first or "-", message.last or "-", advice


def _document(fault: Fault) -> documents.FaultKind:
    return {
        "unit": fault.unit,
        "segment": fault.device >> 16,
        "bdf": bdf(fault.device & 0xFFFF),
        "source_name": fault.source or None,
        "owner": fault.owner,
        "reason": fault.reason,
        "meaning": fault.meaning,
        "index": fault.index,
        "address": fault.address,
        "read": fault.read,
        "entry_state": fault.entry or None,
        "count": fault.count,
        "first": fault.first or None,
        "last": fault.last or None,
        "pending": fault.pending,
        "advice": fault.advice,
    }


def _trouble(message: Message) -> documents.Trouble:
    return {
        "kind": message.kind,
        "text": message.text,
        "cpu": message.cpu,
        "vector": message.vector,
        "unit": message.unit,
        "count": message.count,
        "first": message.first or None,
        "last": message.last or None,
        "log_line": message.line,
    }
