"""The command `diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from inspector.analysis import diff as differences
from inspector.base.arguments import FileName, Word, argument, option, read_number
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Table, Text
from inspector.model.hex_members import MEMBERS, hexed
from inspector.model.snapshot import Snapshot
from inspector.targets.target import Target
from structs.frozen import frozen

WAKE_UP = 0
"""As a line's number: the last line that tells of a wake-up."""


def _read_line(word: str) -> int:
    return WAKE_UP if word.lower() == "s3" else read_number(word)


Line = Annotated[int, Word("LINE", _read_line, noun="line's number", example="1200, or s3")]

if TYPE_CHECKING:
    from inspector.model import documents

ADDRESSES = frozenset(("lock", "node", "following", "preceding", "head", "offset", "vmcs_pi", "text"))
"""Members of a snapshot, besides those of the documents."""
HEX_FIELDS = MEMBERS | ADDRESSES | {"nv", "vector", "sid", "tpr", "ppr"}


@frozen
class Arguments:
    """What it takes."""

    before: FileName | None = argument(
        "the earlier: a `snapshot`'s name, a saved one, a dump, a log", None, metavar="A"
    )
    after: FileName | None = argument("the later (default: the target as it is)", None, metavar="B")
    across: Line | None = option("what this log says before that line with what it says after; s3: its last wake-up")


@command(
    Arguments,
    Example("live", "diff then.json", "then, and now"),
    Example("dump A", "diff A B", "two files"),
    Example("sim --scenario idle", "run\nsnapshot before\nblock d1v0\ndiff before", "then, and now, in one session"),
    Example("dump LOG", "diff --across s3", "one log: the keys' answers before the machine slept, and after"),
)
def diff(inspection: Inspection, arguments: Arguments) -> Answer[documents.Diff]:
    """What changed between two snapshots, dumps or logs of a machine, or in the middle of one log, field by field.

    A name that `snapshot` gave in this session comes before a file's: `./NAME` is the file.
    """
    before, after = _compared(inspection, arguments)
    changes, unknown = differences.diff(before, after), differences.not_compared(before, after)
    document: documents.Diff = {
        "not_compared": sorted(unknown),
        "changes": [
            {
                "subject": change.subject,
                "field": change.field,
                "before": _value(change.field, change.before),
                "after": _value(change.field, change.after),
            }
            for change in changes
        ],
    }
    rows = [(c.subject, c.field, _shown(c.field, c.before), _shown(c.field, c.after)) for c in changes]
    blocks: list[Block] = [Table(("SUBJECT", "FIELD", "BEFORE", "AFTER"), rows)] if rows else [Text("no difference")]
    absent = list(dict.fromkeys((*before.absences, *after.absences)))
    if not rows and unknown >= differences.TOLD.keys() - {differences.PINS}:
        return Answer(
            document, [], [f"nothing can be compared: {before.target} and {after.target} tell of other things"]
        )
    if unknown:
        names = ", ".join(differences.TOLD[part] for part in sorted(unknown))
        blocks.append(Text(f"not compared, for one of the two does not tell them: {names}"))
    return Answer(document, blocks, absent=absent)


def _compared(inspection: Inspection, arguments: Arguments) -> tuple[Snapshot, Snapshot]:
    """Raises UsageError: no two are named, or the target is no log, or one of a machine that did not sleep."""
    if arguments.across is not None:
        if arguments.before:
            raise UsageError("diff: --across compares the target's log with itself; it takes no other file")
        return parted(inspection.target, arguments.across)
    if not arguments.before:
        raise UsageError("diff: with which earlier one? Expected a file, or --across LINE in a log")
    before = _named(inspection, arguments.before)
    return before, _named(inspection, arguments.after) if arguments.after else inspection.snapshot


def _named(inspection: Inspection, name: str) -> Snapshot:
    """What `snapshot` kept under a name, or else the file of that name."""
    return inspection.kept[name] if name in inspection.kept else inspection.of_file(name).snapshot


def parted(target: Target, line: int = WAKE_UP) -> tuple[Snapshot, Snapshot]:
    """What a log says before a line, and after it. Raises UsageError: it is no log, or has no wake-up from sleep."""
    from inspector.targets.recorded.console.log import ConsoleLog

    if not isinstance(target, ConsoleLog):
        raise UsageError(f"diff: --across is for a console log, and {target.description} is none")
    if line == WAKE_UP and target.woken is None:
        raise UsageError(f"diff: {target.description} has no wake-up from sleep; name a line: --across LINE")
    return target.parted(target.woken if line == WAKE_UP and target.woken is not None else line)


def _value(field: str, value: Any) -> Any:
    """A value as other documents have it under that name: an address is a string, whatever its value is."""
    name = field.rpartition(".")[2]
    return f"{value:#x}" if name in ADDRESSES and isinstance(value, int) else hexed(value, name)


def _shown(field: str, value: Any) -> str:
    name = field.rpartition(".")[2]
    if value is None:
        return "-"
    if name in ("pir", "irr", "isr") and isinstance(value, list):
        return " ".join(f"{vector:#04x}" for vector in value) or "none"
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return f"{value:#x}" if name in HEX_FIELDS and isinstance(value, int) else str(value)
