"""What is wrong with the machine: every rule that it breaks, the worst first. Exit status 1 if a bug is found.

vtdpi live audit
vtdpi live audit --again 2         look twice more: what stays is a bug, what goes was on its way
vtdpi dump A audit --with B        two dumps of one machine, A the earlier
vtdpi live audit D5                one rule; `explain D5` tells what it means
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from inspector.audit import BUG, Finding, Rule, confirm, the_rule
from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.arguments import number
from inspector.model.answer import Answer, Block, Table, Text
from inspector.model.snapshot import Snapshot
from inspector.targets.control import Control, Driven

COLUMNS = ("SEVERITY", "RULE", "SUBJECT", "FINDING")
WAIT = 1.0
STEPS = 1000
"""Of a simulated machine, between two looks: more than any message or procedure takes."""


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("rule", nargs="?", metavar="RULE", help="only this rule: its id or name")
    parser.add_argument("--again", type=number, default=0, metavar="N", help="let it run and look N more times")
    seconds = f"seconds in between (default {WAIT:g}; a simulated machine takes {STEPS} steps)"
    parser.add_argument("--wait", type=_seconds, default=WAIT, metavar="S", help=seconds)
    parser.add_argument("--with", dest="later", action="append", default=[], metavar="FILE", help="a later dump of it")


def run(inspection: Inspection, options: Namespace) -> Answer:
    only = the_rule(options.rule) if options.rule else None
    snapshots = [inspection.snapshot, *_again(inspection, options), *_later(inspection, options)]
    findings = confirm(snapshots, only)
    document = {"findings": [finding.document() for finding in findings]}
    bug = any(finding.severity == BUG for finding in findings)
    return Answer(document, _blocks(findings, snapshots, only), inspection.snapshot.problems, bug=bug)


def _again(inspection: Inspection, options: Namespace) -> list[Snapshot]:
    if not options.again:
        return []
    target = inspection.target
    if not isinstance(target, Control | Driven):
        raise UsageError(
            f"{inspection.target.description} does not run; give a later dump of the machine: audit --with FILE"
        )
    taken = []
    for _ in range(options.again):
        if isinstance(target, Control):
            target.cont()
            time.sleep(options.wait)
            target.stop()
        else:
            target.drive("run", STEPS)
        taken.append(inspection.again().snapshot)
    return taken


def _later(inspection: Inspection, options: Namespace) -> list[Snapshot]:
    return [inspection.of_file(path).snapshot for path in options.later]


def _blocks(findings: list[Finding], snapshots: list[Snapshot], only: Rule | None) -> list[Block]:
    if not findings:
        what = f"{only.id}: nothing found" if only else "nothing wrong found"
        return [Text(what + (f" in {len(snapshots)} snapshots" if len(snapshots) > 1 else ""))]
    rows = [(finding.severity, finding.rule, finding.subject, finding.message) for finding in findings]
    blocks: list[Block] = [Table(COLUMNS, rows)]
    if any(finding.suspicion for finding in findings):
        blocks.append(Text("A suspicion may be a legal transient: look again (--again 1, or --with a later dump)."))
    return blocks


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise ArgumentTypeError(f"{word!r} is no time; expected seconds, such as 0.5")
    return value
