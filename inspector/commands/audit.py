"""The command `audit`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from inspector.audit import BUG, Coverage, Finding, Rule, confirm, coverage, the_rule
from inspector.base.arguments import FileName, Word, argument, option
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import RuleName, seconds
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Table, Text
from inspector.model.snapshot import Snapshot
from inspector.targets.target import Control, Driven
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("SEVERITY", "RULE", "SUBJECT", "FINDING")
WAIT = 1.0
STEPS = 1000
"""Of a simulated machine, between two looks: more than any message or procedure takes."""


@frozen
class Arguments:
    """What it takes."""

    rule: RuleName | None = argument("only this rule: its id or name", None)
    again: int = option("let it run and look N more times", 0)
    wait: Annotated[float, Word("S", seconds(0, 3600))] = option(
        f"seconds in between (default {WAIT:g}; a simulated machine takes {STEPS} steps)", WAIT
    )
    later: tuple[FileName, ...] = option("a later dump of it; may be repeated", (), flags=["--with"])


@command(
    Arguments,
    Example("live", "audit"),
    Example("live", "audit --again 2", "look twice more: what stays is a bug, what goes was on its way"),
    Example("dump A", "audit --with B", "two dumps of one machine, A the earlier"),
    Example("live", "audit D5", "one rule; `explain D5` tells what it means"),
)
def audit(inspection: Inspection, arguments: Arguments) -> Answer[documents.Audit]:
    """What is wrong with the machine: every rule that it breaks, the worst first, and how much could be checked.

    Exit status 1 if a bug is found, 3 if nothing could be checked or not all could be read.
    """
    only = the_rule(arguments.rule) if arguments.rule else None
    snapshots = [inspection.snapshot, *_again(inspection, arguments), *_later(inspection, arguments)]
    findings = confirm(snapshots, only)
    rests_on = coverage(snapshots[-1], only)
    document: documents.Audit = {
        "findings": [finding.document() for finding in findings],
        "coverage": rests_on.document(),
    }
    bug = any(finding.severity == BUG for finding in findings)
    absent = inspection.snapshot.absences
    if not rests_on.checked:
        return Answer(document, [], [f"nothing could be checked: {rests_on}"], absent=absent)
    return Answer(document, _blocks(findings, rests_on, snapshots, only, document["findings"]), bug=bug, absent=absent)


def _again(inspection: Inspection, arguments: Arguments) -> list[Snapshot]:
    if not arguments.again:
        return []
    target = inspection.target
    if not isinstance(target, Control | Driven):
        raise UsageError(
            f"{inspection.target.description} does not run; give a later dump of the machine: audit --with FILE"
        )
    taken = []
    for _ in range(arguments.again):
        if isinstance(target, Control):
            target.cont()
            time.sleep(arguments.wait)
            target.stop()
        else:
            target.drive("run", STEPS)
        taken.append(inspection.again().snapshot)
    return taken


def _later(inspection: Inspection, arguments: Arguments) -> list[Snapshot]:
    return [inspection.of_file(path).snapshot for path in arguments.later]


def _blocks(
    findings: list[Finding],
    rests_on: Coverage,
    snapshots: list[Snapshot],
    only: Rule | None,
    described: list[documents.Finding],
) -> list[Block]:
    if not findings:
        what = f"{only.id}: nothing found" if only else "nothing wrong found"
        what += f" in {len(snapshots)} snapshots" if len(snapshots) > 1 else ""
        return [Text(what if only else f"{what}\n{rests_on}")]
    rows = [(finding.severity, finding.rule, finding.subject, finding.message) for finding in findings]
    blocks: list[Block] = [Table(COLUMNS, rows, records=described)]
    if any(finding.suspicion for finding in findings):
        blocks.append(Text("A suspicion may be a legal transient: look again (--again 1, or --with a later dump)."))
    return blocks if only else [*blocks, Text(str(rests_on))]
