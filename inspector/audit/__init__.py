"""The audit: every rule that a snapshot can break, with an explanation of each.

A state that is legal for an instant and wrong if it stays cannot be judged from one snapshot; it is reported as a
suspicion (a warning), and `confirm` decides from a later snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inspector.audit import blocked, entries, hardware, interrupts, lists, machine, running  # noqa: F401 - they register their rules
from inspector.audit.needs import Coverage
from inspector.audit.rule import BUG, INFO, RULES, SEVERITIES, WARNING, Finding, Rule
from inspector.base.errors import UsageError
from inspector.model.snapshot import Snapshot

__all__ = [
    "BUG",
    "INFO",
    "RULES",
    "WARNING",
    "Coverage",
    "Finding",
    "Rule",
    "audit",
    "confirm",
    "coverage",
    "rules",
    "the_rule",
]


def rules() -> list[Rule]:
    """All rules, in the order of their numbers."""
    return sorted(RULES.values(), key=lambda rule: (rule.id[0], int(rule.id[1:])))


def the_rule(word: str) -> Rule:
    """The rule with this id or name. Raises UsageError if there is none."""
    for rule in RULES.values():
        if word.lower() in (rule.id.lower(), rule.name):
            return rule
    raise UsageError(f"no rule {word!r}; there are {', '.join(f'{rule.id} {rule.name}' for rule in rules())}")


def audit(snapshot: Snapshot, only: Rule | None = None) -> list[Finding]:
    """What is wrong with a machine, the worst first."""
    chosen = [only] if only else rules()
    found = [finding for rule in chosen for finding in rule.findings(snapshot)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def coverage(snapshot: Snapshot, only: Rule | None = None) -> Coverage:
    """What the audit of a machine rests on: which rules are asked, and which cannot be."""
    chosen = [only] if only else rules()
    held = [rule for rule in chosen if rule.holds_for(snapshot)]
    missing = tuple((rule.id, why) for rule in held if (why := rule.missing(snapshot)))
    lacking = {id for id, _ in missing}
    return Coverage(
        tuple(rule.id for rule in held if rule.id not in lacking),
        missing,
        tuple(rule.id for rule in chosen if rule not in held),
    )


def confirm(snapshots: Sequence[Snapshot], only: Rule | None = None) -> list[Finding]:
    """What is wrong with a machine in the last of several snapshots, in the order they were taken.

    A suspicion that all of them have, with the same state, is confirmed: it is a bug.
    """
    *before, last = ([*audit(snapshot, only)] for snapshot in snapshots)
    earlier = [{(f.rule, f.subject, f.state) for f in found} for found in before]
    decided = []
    for finding in last:
        key = finding.rule, finding.subject, finding.state
        if finding.suspicion and earlier and all(key in found for found in earlier):
            words = f"{finding.message}; confirmed: the same in {len(snapshots)} snapshots"
            finding = replace(finding, severity=BUG, suspicion=False, message=words)
        decided.append(finding)
    return sorted(decided, key=lambda finding: SEVERITIES.index(finding.severity))
