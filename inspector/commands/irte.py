"""The command `irte`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.base.arguments import argument, option
from inspector.base.errors import NotReadable, UsageError
from inspector.capture.inspection import Inspection
from inspector.capture.sources import Sources, in_words
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import EntryIndex, UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import each_unit
from inspector.model.answer import Answer, Block, Text
from inspector.vtd.remapping import allowed, read
from structs.irte import IRTE


@dataclass(frozen=True)
class Arguments:
    """What it takes."""

    number: EntryIndex = argument("the entry's index in the table")
    unit: UnitNumber | None = option("only this VT-d unit")


@command(
    Arguments,
    Example("live", "irte 0x18"),
)
def irte(inspection: Inspection, arguments: Arguments) -> Answer:
    """One interrupt-remapping entry, bit by bit."""
    units: list[dict[str, Any]] = []
    blocks: list[Block] = []
    problems: list[str] = []
    for unit, entries in each_unit(inspection, arguments.unit, read, problems):
        if arguments.number >= entries.table.entries:
            raise UsageError(
                f"unit {unit.index}'s table has {entries.table.entries} entries;"
                f" there is no index {arguments.number:#x}"
            )
        entry = entries.decode(np.array([arguments.number]))[0]
        source = Sources(inspection, unit).of(entry)
        raw = entries.raw[arguments.number].tobytes()
        record = IRTE.record_of(raw)
        address = entries.table.base + arguments.number * IRTE.size
        title = f"unit {unit.index} entry {arguments.number:#x} at {address:#x}, {record.title}"
        words = f"may be used by {allowed(entry)}; is used by {in_words(source)}"
        units.append({"index": unit.index, "address": address, "entry": entry | {"source": source}})
        blocks += [fields.table(record, dict(record.parse(raw)), title), Text(words)]
        if entries.missing and not unit.target.read_parts([(address, IRTE.size)])[0]:
            problems.append(str(NotReadable(address, IRTE.size, "this part of the table is not in memory")))
    return Answer({"units": units}, blocks, [*inspection.problems, *problems])
