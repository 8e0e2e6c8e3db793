"""The audit: every rule that a snapshot can break, with an explanation of each.

A state that is legal for an instant and wrong if it stays cannot be judged from one snapshot; it is reported as a
suspicion (a warning), and `confirm` decides from a later snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from inspector.audit import (  # noqa: F401 - they register their rules
    blocked,
    entries,
    interrupts,
    kvm,
    kvm_entries,
    lists,
    machine,
    running,
)
from inspector.audit.rule import BUG, INFO, RULES, SEVERITIES, WARNING, Coverage, Finding, Rule
from inspector.base import entry_points
from inspector.base.errors import UsageError, VtdpiError
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


OWN = frozenset(RULES)
"""The ids of vtdpi's own rules."""

GROUP = "vtdpi.rules"
"""The entry points by which other packages add rules: each names a module that declares them with `rule`."""


def rules() -> list[Rule]:
    """All rules, in the order of their numbers; then those of other packages."""
    _add_others()
    return sorted(RULES.values(), key=lambda rule: (rule.id not in OWN, *_in_order(rule.id)))


def _in_order(id: str) -> tuple[str, int, str]:
    stem = id.rstrip("0123456789")
    return stem, int(id[len(stem) :] or 0), id


@cache
def _add_others() -> None:
    """Load the rules of other packages.

    Raises:
        VtdpiError: one of them cannot be loaded. Nobody is to believe that its rules were checked.
    """
    for entry in entry_points.of_group(GROUP):
        try:
            entry.load()
        except Exception as error:
            raise VtdpiError(f"the rules {entry.name} of {entry.value} cannot be loaded: {error!r}") from error


def the_rule(word: str) -> Rule:
    """The rule with this id or name. Raises UsageError if there is none."""
    _add_others()
    for rule in RULES.values():
        if word.lower() in (rule.id.lower(), rule.name):
            return rule
    known = tuple(rule.id for rule in rules())
    listed = ", ".join(f"{rule.id} {rule.name}" for rule in rules())
    raise UsageError(f"no rule {word!r}; there are {listed}", expected=known, found=word)


def audit(snapshot: Snapshot, only: Rule | None = None) -> list[Finding]:
    """What is wrong with a machine, the worst first."""
    chosen = [only] if only else rules()
    found = [finding for rule in chosen for finding in rule.findings(snapshot)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def coverage(snapshot: Snapshot, only: Rule | None = None) -> Coverage:
    """What the audit of a machine rests on: which rules are asked, and which cannot be."""
    # What is about Linux alone is no question of a Xen; what is about Xen is told of a Linux, where it is most.
    chosen = [only] if only else [rule for rule in rules() if rule.xen or snapshot.is_linux]
    held = [rule for rule in chosen if rule.holds_for(snapshot)]
    missing = tuple((rule.id, why) for rule in held if (why := rule.missing(snapshot)))
    lacking = {id for id, _ in missing}
    return Coverage(
        tuple(rule.id for rule in held if rule.id not in lacking),
        missing,
        tuple(rule.id for rule in chosen if rule not in held),
        "Xen, and this machine runs Linux" if snapshot.is_linux else "other versions of Xen",
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
