"""An audit as a Python program has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from inspector.analysis.vcpu_words import line
from inspector.audit import BUG, WARNING, Finding, confirm, the_rule
from inspector.model.notebook import html_table
from inspector.model.snapshot import Snapshot
from structs.frozen import frozen

HEADS = ("severity", "rule", "subject", "finding")


class BugsFound(AssertionError):
    """Something is certainly wrong with a machine; says what, and how each vCPU that it is about stands.

    Attributes:
        audit: the whole audit.
    """

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        lines = [f"{each.rule} {each.subject}: {each.message}" for each in audit.bugs]
        if snapshot := audit.snapshot:
            subjects = {each.subject for each in audit.bugs}
            lines += [line(snapshot, vcpu) for vcpu in snapshot.vcpus if vcpu.name in subjects]
        super().__init__("\n".join([f"{len(audit.bugs)} bug{'s' * (len(audit.bugs) > 1)} found", *lines]))


@frozen
class Audit:
    """What is wrong with a machine, the worst first.

    Attributes:
        findings: every one.
        problems: what could not be read, a line each: what rests on it was not checked.
        snapshot: what was audited.
    """

    findings: tuple[Finding, ...]
    problems: tuple[str, ...] = ()
    snapshot: Snapshot | None = field(default=None, repr=False, compare=False)

    @property
    def bugs(self) -> tuple[Finding, ...]:
        """What is certainly wrong."""
        return tuple(finding for finding in self.findings if finding.severity == BUG)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may be wrong: it can be legal for an instant, and is wrong if it stays."""
        return tuple(finding for finding in self.findings if finding.severity == WARNING)

    def assert_no_bugs(self) -> None:
        """Raises BugsFound if anything is certainly wrong."""
        if self.bugs:
            raise BugsFound(self)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        lines = [f"{each.severity} {each.rule} {each.subject}: {each.message}" for each in self.findings]
        return "\n".join(lines or ["nothing wrong found"])

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        rows = [(each.severity, each.rule, each.subject, each.message) for each in self.findings]
        return html_table(HEADS, rows, f"{len(rows)} findings, {len(self.bugs)} bugs")


def audit(snapshot: Snapshot, *earlier: Snapshot, rule: str = "") -> Audit:
    """What is wrong with a machine.

    Args:
        snapshot: of the machine.
        earlier: snapshots of it before, in the order they were taken: a suspicion that all have is a bug.
        rule: only this one, by id or name.

    Raises:
        UsageError: there is no such rule.
    """
    taken: Sequence[Snapshot] = (*earlier, snapshot)
    return Audit(tuple(confirm(taken, the_rule(rule) if rule else None)), tuple(snapshot.problems), snapshot)
