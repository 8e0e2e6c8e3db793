"""The command `irte`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inspector.analysis.sources import InterruptSources
from inspector.base.arguments import argument, option
from inspector.base.errors import NotReadable, UsageError
from inspector.capture.inspection import Inspection
from inspector.commands import record_fields as fields
from inspector.commands.argument_types import EntryIndex, UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import tables
from inspector.model.answer import Answer, Block, Text
from inspector.model.snapshot import is_log
from inspector.vtd.remapping import allowed
from structs.frozen import frozen
from structs.irte import IRTE

if TYPE_CHECKING:
    from inspector.model import documents


@frozen
class Arguments:
    """What it takes."""

    number: EntryIndex = argument("the entry's index in the table")
    unit: UnitNumber | None = option("only this VT-d unit")


@command(
    Arguments,
    Example("live", "irte 0x18"),
)
def irte(inspection: Inspection, arguments: Arguments) -> Answer[documents.Irte]:
    """One interrupt-remapping entry, bit by bit."""
    units: list[documents.OneEntry] = []
    blocks: list[Block] = []
    problems: list[str] = []
    snapshot = inspection.deferred
    sources = InterruptSources(snapshot)
    chosen = arguments.number.unit if arguments.unit is None else arguments.unit
    for unit, entries in tables(snapshot, chosen, problems):
        if arguments.number >= unit.size:
            raise UsageError(f"{unit.name}'s table has {unit.size} entries; there is no index {arguments.number:#x}")
        address = unit.base + arguments.number * IRTE.size if unit.base else None
        if not entries.has_read(arguments.number):
            why = "this part of the table is not in memory"
            where = f"{unit.name} entry {arguments.number:#x} cannot be read: {why}"
            problems.append(where if address is None else str(NotReadable(address, IRTE.size, why)))
            continue
        entry = entries.decode(np.array([arguments.number]))[0]
        source = sources.of(unit, entry)
        raw = entries.raw[arguments.number].tobytes()
        record = IRTE.record_of(raw)
        place = "" if address is None else f" at {address:#x}"
        title = f"{unit.name} entry {arguments.number:#x}{place}, {record.title}"
        words = f"may be used by {allowed(entry)}; is used by {source}"
        if not entry["p"]:
            words = "not present (P=0): an interrupt that selects it is a fault (0x22)"
            words += "; the log has no row of it, and key V prints present entries only" if is_log(snapshot) else ""
        units.append({"unit": unit.index, "address": address, "entry": entry | {"source": source.document()}})
        blocks += [fields.table(record, dict(record.parse(raw)), title), Text(words)]
    return Answer({"units": units}, blocks, problems, absent=snapshot.absences)
