"""The command `queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import option
from inspector.capture.inspection import Inspection
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import choose, why_of_unit
from inspector.model.answer import Answer, Block, Table, Text
from inspector.vtd.queue import descriptor, in_words, slots
from structs.bits import BitRecord
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("SLOT", "STATE", "TYPE", "FIELDS")


@frozen
class Arguments:
    """What it takes."""

    unit: UnitNumber | None = option("only this VT-d unit")
    last: int = option("how many executed ones to show (default: 16)", 16)


@command(
    Arguments,
    Example("live", "queue", "descriptors between head and tail, and the 16 before them"),
    Example("live", "queue --last 256"),
)
def queue(inspection: Inspection, arguments: Arguments) -> Answer[documents.Queue]:
    """The invalidation queue of each unit: what hardware has still to do, and what it did last."""
    units: list[documents.UnitQueue] = []
    blocks: list[Block] = []
    problems: list[str] = []
    snapshot = inspection.deferred
    for unit in choose(snapshot, arguments.unit):
        queue = unit.queue
        if queue is None:
            problems.append(why_of_unit(snapshot, unit, "queue"))
            continue
        described: list[documents.QueueDescriptor] = []
        rows = []
        for slot, state in slots(queue, arguments.last):
            record, values = descriptor(queue, slot)
            described.append({"slot": slot, "state": state, "kind": record.title, **record.visible(values)})
            rows.append((str(slot), state, record.title, _in_words(record, values)))
        units.append(
            {
                "unit": unit.index,
                "base": queue.base,
                "slots": queue.count,
                "descriptor_size": queue.size,
                "head": queue.head,
                "tail": queue.tail,
                "descriptors": described,
            }
        )
        blocks += [Text(f"unit {unit.index}: {in_words(queue)}"), Table(COLUMNS, rows, numeric=frozenset({"SLOT"}))]
    return Answer({"units": units}, blocks, problems, absent=snapshot.absences)


def _in_words(record: BitRecord, values: dict[str, int]) -> str:
    granularity = record["g"].meanings.get(values["g"], "") if "g" in record.by_name else ""
    rest = fields.set_fields(record, {name: 0 if name in ("type", "g") else value for name, value in values.items()})
    return f"{granularity} {rest}".strip()
