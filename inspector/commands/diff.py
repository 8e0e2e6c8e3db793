"""The command `diff`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inspector.analysis import diff as differences
from inspector.base.arguments import FileName, argument
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
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


@dataclass(frozen=True)
class Arguments:
    """What it takes."""

    before: FileName = argument("the earlier: a saved snapshot or a dump", metavar="A")
    after: FileName | None = argument("the later (default: the target as it is)", None, metavar="B")


@command(
    Arguments,
    Example("live", "diff then.json", "then, and now"),
    Example("dump A", "diff A B", "two files"),
)
def diff(inspection: Inspection, arguments: Arguments) -> Answer:
    """What changed between two snapshots or dumps of a machine, field by field."""
    before = inspection.of_file(arguments.before).snapshot
    after = inspection.of_file(arguments.after).snapshot if arguments.after else inspection.snapshot
    changes = differences.diff(before, after)
    document = {
        "not_compared": sorted(differences.not_told(before) | differences.not_told(after)),
        "changes": [{"subject": c.subject, "field": c.field, "before": c.before, "after": c.after} for c in changes],
    }
    rows = [(c.subject, c.field, _shown(c.field, c.before), _shown(c.field, c.after)) for c in changes]
    blocks: list[Block] = [Table(("SUBJECT", "FIELD", "BEFORE", "AFTER"), rows)] if rows else [Text("no difference")]
    absent = list(dict.fromkeys((*before.absences, *after.absences)))
    unknown = sorted(differences.not_told(before) | differences.not_told(after))
    if not rows and len(unknown) == len(differences.TOLD):
        return Answer(
            document, [], [f"nothing can be compared: {before.target} and {after.target} tell of other things"]
        )
    if unknown:
        names = ", ".join(differences.TOLD[part] for part in unknown)
        blocks.append(Text(f"not compared, for one of the two does not tell them: {names}"))
    return Answer(document, blocks, absent=absent)


def _shown(field: str, value: Any) -> str:
    name = field.rpartition(".")[2]
    if value is None:
        return "-"
    if name in ("pir", "irr", "isr") and isinstance(value, list):
        return " ".join(f"{vector:02x}" for vector in value) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return f"{value:#x}" if name in HEX_FIELDS and isinstance(value, int) else str(value)
