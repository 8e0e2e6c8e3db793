"""One interrupt-remapping entry, bit by bit.

vtdpi live irte 0x18
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

import numpy as np

from inspector.base.errors import NotReadable, UsageError
from inspector.capture.inspection import Inspection
from inspector.capture.sources import Sources, in_words
from inspector.commands import record_fields as fields
from inspector.commands.arguments import add_unit, each_unit, number
from inspector.model.answer import Answer, Block, Text
from inspector.vtd.remapping import allowed, read
from structs.irte import IRTE


def arguments(parser: ArgumentParser) -> None:
    add_unit(parser)
    parser.add_argument("number", type=number, metavar="INDEX", help="the entry's index in the table")


def run(inspection: Inspection, options: Namespace) -> Answer:
    units: list[dict[str, Any]] = []
    blocks: list[Block] = []
    problems: list[str] = []
    for unit, entries in each_unit(inspection, options, read, problems):
        if options.number >= entries.table.entries:
            raise UsageError(
                f"unit {unit.index}'s table has {entries.table.entries} entries; there is no index {options.number:#x}"
            )
        entry = entries.decode(np.array([options.number]))[0]
        source = Sources(inspection, unit).of(entry)
        raw = entries.raw[options.number].tobytes()
        record = IRTE.record_of(raw)
        address = entries.table.base + options.number * IRTE.size
        title = f"unit {unit.index} entry {options.number:#x} at {address:#x}, {record.title}"
        words = f"may be used by {allowed(entry)}; is used by {in_words(source)}"
        units.append({"index": unit.index, "address": address, "entry": entry | {"source": source}})
        blocks += [fields.table(record, dict(record.parse(raw)), title), Text(words)]
        if entries.missing and not unit.target.read_parts([(address, IRTE.size)])[0]:
            problems.append(str(NotReadable(address, IRTE.size, "this part of the table is not in memory")))
    return Answer({"units": units}, blocks, [*inspection.problems, *problems])
