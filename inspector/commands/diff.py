"""What changed between two snapshots or dumps of a machine, field by field.

vtdpi live diff then.json          then, and now
vtdpi dump A diff A B              two files
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from inspector.analysis.diff import diff
from inspector.capture.inspection import Inspection
from inspector.model.answer import Answer, Block, Table, Text

HEX_FIELDS = (
    "address",
    "rip",
    "pda",
    "nv",
    "lock",
    "node",
    "following",
    "preceding",
    "head",
    "offset",
    "vector",
    "sid",
    "tpr",
    "ppr",
)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help="the earlier: a saved snapshot or a dump")
    parser.add_argument("after", nargs="?", metavar="B", help="the later (default: the target as it is)")


def run(inspection: Inspection, options: Namespace) -> Answer:
    before = inspection.of_file(options.before).snapshot
    after = inspection.of_file(options.after).snapshot if options.after else inspection.snapshot
    changes = diff(before, after)
    document = {
        "changes": [{"subject": c.subject, "field": c.field, "before": c.before, "after": c.after} for c in changes]
    }
    rows = [(c.subject, c.field, _shown(c.field, c.before), _shown(c.field, c.after)) for c in changes]
    blocks: list[Block] = [Table(("SUBJECT", "FIELD", "BEFORE", "AFTER"), rows)] if rows else [Text("no difference")]
    return Answer(document, blocks, list(dict.fromkeys((*before.problems, *after.problems))))


def _shown(field: str, value: Any) -> str:
    name = field.rpartition(".")[2]
    if value is None:
        return "-"
    if name in ("pir", "irr", "isr"):
        return " ".join(f"{vector:02x}" for vector in value) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return f"{value:#x}" if name in HEX_FIELDS and isinstance(value, int) else str(value)
