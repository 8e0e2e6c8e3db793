"""What a rule of the audit is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, Literal

from inspector.audit.needs import Need, missing
from inspector.model.snapshot import Snapshot
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model.documents import Finding as FindingDocument

BUG: Final = "bug"
WARNING: Final = "warning"
INFO: Final = "info"
SEVERITIES = (BUG, WARNING, INFO)
Severity = Literal["bug", "warning", "info"]

Version = tuple[int, int]


@frozen
class Found:
    """What a check found: who, what is wrong, whether this snapshot alone proves it, and the state that shows it.

    A state that may be legal for an instant is not `certain`: it is a suspicion until a later snapshot shows the same
    `state` of the same subject.
    """

    subject: str
    message: str
    certain: bool = True
    state: tuple[Any, ...] = ()


@frozen
class Finding:
    """A rule that a machine breaks. `suspicion` is one that a later snapshot could confirm."""

    rule: str
    severity: Severity
    subject: str
    message: str
    suspicion: bool = False
    state: tuple[Any, ...] = ()

    def document(self) -> FindingDocument:
        """What `--json` prints of it."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "subject": self.subject,
            "message": self.message,
            "suspicion": self.suspicion,
        }


@frozen
class Rule:
    """One check.

    Attributes:
        id, name: `D5`, `stranded-vector`.
        title: what is wrong, in a few words.
        severity: of a finding that is certain.
        since, before: the Xen versions it holds for: from `since` on, up to and without `before`.
        needs: what it must know of a machine; it is not asked about one where that is not known.
        explanation: what it means, how it comes about, known bugs of the kind, what to look at next.
    """

    id: str
    name: str
    title: str
    severity: Severity
    since: Version | None
    before: Version | None
    needs: tuple[Need, ...]
    explanation: str
    check: Callable[[Snapshot], Iterator[Found]]

    def holds_for(self, snapshot: Snapshot) -> bool:
        """Whether the rule says anything about this Xen; it does if the version is not known."""
        release = snapshot.release
        if release is None:
            return True
        return (self.since is None or release >= self.since) and (self.before is None or release < self.before)

    def missing(self, snapshot: Snapshot) -> str | None:
        """What it needs to know, and why that is not known; None if it can be asked."""
        return missing(self.needs, snapshot)

    def findings(self, snapshot: Snapshot) -> Iterator[Finding]:
        """What breaks the rule in one snapshot; nothing of one that it cannot be asked about."""
        if not self.holds_for(snapshot) or self.missing(snapshot):
            return
        for found in self.check(snapshot):
            severity = self.severity if found.certain or self.severity == INFO else WARNING
            suspicion = not found.certain and self.severity == BUG
            yield Finding(self.id, severity, found.subject, found.message, suspicion, found.state)

    @property
    def versions(self) -> str:
        """The versions it holds for, in words."""
        start = "Xen " + (".".join(map(str, self.since)) if self.since else "4.7")
        return (
            f"{start} and later" if self.before is None else f"{start} up to before {'.'.join(map(str, self.before))}"
        )


RULES: dict[str, Rule] = {}
"""All rules, by id."""


def rule(
    id: str,
    name: str,
    title: str,
    severity: Severity = BUG,
    since: Version | None = None,
    before: Version | None = None,
    needs: tuple[Need, ...] = (),
) -> Callable[[Callable[[Snapshot], Iterator[Found]]], Callable[[Snapshot], Iterator[Found]]]:
    """Register a check; its docstring is the rule's explanation."""

    def register(check: Callable[[Snapshot], Iterator[Found]]) -> Callable[[Snapshot], Iterator[Found]]:
        assert id not in RULES
        RULES[id] = Rule(id, name, title, severity, since, before, needs, cleandoc(check.__doc__ or ""), check)
        return check

    return register
