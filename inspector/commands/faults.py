"""The command `faults`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from inspector.base.arguments import option
from inspector.capture.inspection import Inspection
from inspector.commands import fault_reports
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import choose, why_of_unit
from inspector.model.answer import Answer, Block, Table, Text
from inspector.model.snapshot import Snapshot, is_log
from inspector.vtd.remapping import bdf
from structs.columns import columns, rows
from structs.faults import FRCD, INTERRUPT_REASONS, REASONS, interrupt_index, request_in_words
from structs.frozen import frozen
from structs.registers import BY_NAME

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("RECORD", "STATE", "SOURCE", "REASON", "INTERRUPT OR ADDRESS", "MEANING")


@frozen
class Arguments:
    """What it takes."""

    unit: UnitNumber | None = option("only this VT-d unit")


@command(
    Arguments,
    Example("live", "faults"),
)
def faults(inspection: Inspection, arguments: Arguments) -> Answer[documents.Faults]:
    """Each unit's fault status and fault records, with what the reason means and which interrupt it hit.

    Then each kind of fault with its device, owner and entry, how often and when, and what to do.
    Of a console log, what Xen reported there.
    """
    snapshot = inspection.snapshot
    if reported := _reported(snapshot):
        return reported
    units: list[documents.UnitFaults] = []
    blocks: list[Block] = []
    problems: list[str] = []
    for unit in choose(snapshot, arguments.unit):
        status, value = unit.register("FSTS"), unit.raw_register("FSTS")
        if status is None:
            problems.append(why_of_unit(snapshot, unit, "registers"))
            continue
        records = rows(columns(FRCD, unit.frcd))
        described = [_record(number, record) for number, record in enumerate(records)]
        units.append({"unit": unit.index, "fsts": {"value": value or 0, **status}, "records": described})
        set_now = fields.set_fields(BY_NAME["FSTS"].record, status) or "no fault is pending"
        blocks.append(Text(f"{unit.name}: FSTS {value:#x}: {set_now}; {len(records)} fault records"))
        told = [each for each in enumerate(records) if any(each[1][name] for name in ("f", "fr", "sid", "fi"))]
        if told:
            blocks.append(Table(COLUMNS, [_row(number, record) for number, record in told]))
    document: documents.Faults = {
        "units": units,
        "faults": fault_reports.kinds(snapshot),
        "messages": fault_reports.messages(snapshot),
    }
    return Answer(document, [*blocks, *fault_reports.blocks(snapshot)], problems, absent=snapshot.absences)


def _reported(snapshot: Snapshot) -> Answer[documents.Faults] | None:
    """What Xen reported on its console, if this is a console log; None if it is none."""
    if not is_log(snapshot):
        return None
    nothing = Text("no VT-d fault and no other trouble is reported in the log; the units' registers are not in it")
    document: documents.Faults = {
        "units": [],
        "faults": fault_reports.kinds(snapshot),
        "messages": fault_reports.messages(snapshot),
    }
    return Answer(document, fault_reports.blocks(snapshot) or [nothing], absent=snapshot.absences)


def _record(number: int, record: Mapping[str, int]) -> documents.FaultRecord:
    return {"record": number, **record, "meaning": _reason(record), "index": interrupt_index(record)}


def _reason(record: Mapping[str, int]) -> str | None:
    reason = REASONS.get(record["fr"])
    return reason.text if reason else None


def _row(number: int, record: Mapping[str, int]) -> tuple[str, ...]:
    index = interrupt_index(record)
    where = (
        f"index {index:#x}"
        if index is not None
        else "-"
        if record["fr"] in INTERRUPT_REASONS
        else f"{request_in_words(record)}, page {record['fi']:#x}"
    )
    return (
        str(number),
        "recorded" if record["f"] else "cleared",
        bdf(record["sid"]),
        f"{record['fr']:#04x}",
        where,
        _reason(record) or "no reason known here",
    )
