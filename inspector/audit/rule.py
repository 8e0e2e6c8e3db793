"""What a rule of the audit is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, Literal

from inspector.model.absence import NOT_PRINTED
from inspector.model.snapshot import Snapshot, is_log
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model.documents import Coverage as CoverageDocument
    from inspector.model.documents import Finding as FindingDocument


BUG: Final = "bug"
WARNING: Final = "warning"
INFO: Final = "info"
SEVERITIES = (BUG, WARNING, INFO)
Severity = Literal["bug", "warning", "info"]

Version = tuple[int, int]
Range = tuple[Version | None, Version | None]
"""Versions from the first on, up to and without the second; None where there is no such bound."""
ANY: Range = (None, None)


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
        linux: the Linux versions it holds for, likewise; None if it says nothing about a Linux.
        xen: whether it says anything about a Xen.
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
    linux: Range | None = None
    xen: bool = True

    def holds_for(self, snapshot: Snapshot) -> bool:
        """Whether the rule says anything about this Xen, or Linux; it does if the version is not known."""
        if snapshot.is_linux:
            return self.linux is not None and _within(snapshot.linux_release, *self.linux)
        return self.xen and _within(snapshot.release, self.since, self.before)

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
        xen = _in_words("Xen", self.since or (4, 7), self.before)
        if self.linux is None:
            return xen
        linux = _in_words("Linux", *self.linux)
        return f"{xen}; {linux}" if self.xen else linux


def _within(release: Version | None, since: Version | None, before: Version | None) -> bool:
    return release is None or ((since is None or release >= since) and (before is None or release < before))


def _in_words(name: str, since: Version | None, before: Version | None) -> str:
    start = f"{name} {'.'.join(map(str, since))}" if since else name
    if before is not None:
        return f"{start} up to before {'.'.join(map(str, before))}"
    return f"{start} and later" if since else start


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
    linux: Range | None = None,
    xen: bool = True,
) -> Callable[[Callable[[Snapshot], Iterator[Found]]], Callable[[Snapshot], Iterator[Found]]]:
    """Register a check; its docstring is the rule's explanation. See Rule for the arguments."""

    def register(check: Callable[[Snapshot], Iterator[Found]]) -> Callable[[Snapshot], Iterator[Found]]:
        assert id not in RULES
        explanation = cleandoc(check.__doc__ or "")
        RULES[id] = Rule(id, name, title, severity, since, before, needs, explanation, check, linux, xen)
        return check

    return register


@frozen
class Need:
    """Something that a rule needs: what it is, and `missing`, which says why a snapshot lacks it; None if it has it.

    What is told follows "need ": `descriptors, which no debug key prints`.
    """

    what: str
    missing: Callable[[Snapshot], str | None]


def _lacking(what: str, there: Callable[[Snapshot], object], member: str = "") -> Need:
    """A need that is met if `there` is true. `member` is the part of a snapshot that a log may not have printed."""

    def missing(snapshot: Snapshot) -> str | None:
        if there(snapshot):
            return None
        return f"{what}, {_why(snapshot, member)}"

    return Need(what, missing)


def _why(snapshot: Snapshot, member: str) -> str:
    if not member and is_log(snapshot):
        return "which are not in the log"
    if member in ("pi", "lists", "vcpus") and not snapshot.vcpus and snapshot.is_linux:
        return "and there is no VM"
    absent = next((a for a in snapshot.absences if a.kind == NOT_PRINTED and a.member == member), None)
    if absent is None:
        return "which could not be read here"
    key = absent.why.partition("key `")[2].partition("`")[0]
    return f"which debug key {key} prints" if key else "which no debug key prints"


def _has_descriptors(snapshot: Snapshot) -> bool:
    """Whether the descriptors of all vCPUs that could have one are known."""
    if not snapshot.vcpus or is_log(snapshot):
        return False
    return any(vcpu.pi for vcpu in snapshot.vcpus) or not any(vcpu.hvm for vcpu in snapshot.vcpus)


DESCRIPTORS = _lacking("descriptors", _has_descriptors, "pi")
LISTS = _lacking(
    "blocking lists", lambda s: s.lists or (_has_descriptors(s) and not any(v.pi for v in s.vcpus)), "lists"
)
CPUS = _lacking("CPUs", lambda s: s.cpus, "cpus")
VCPUS = _lacking("vCPUs", lambda s: s.vcpus, "vcpus")
ENTRIES = _lacking("remapping tables", lambda s: any(unit.base is not None for unit in s.units), "units")
REGISTERS = _lacking(
    "VT-d registers, or fault messages",
    lambda s: s.faults or s.messages or any(unit.fsts is not None for unit in s.units),
)
IRTA = _lacking(
    "IRTA and the APIC mode in use", lambda s: s.x2apic is not None and any(u.origin == "IRTA" for u in s.units)
)
CAPABILITIES = _lacking("capabilities", lambda s: any(unit.cap_pi is not None for unit in s.units))
IN_USE = _lacking("a count of given-away entries", lambda s: any(unit.in_use is not None for unit in s.units))
RECORDS = _lacking(
    "records of MSIs",
    lambda s: s.is_linux or any(m.address is not None for m in s.msis) or (s.build_id and not is_log(s)),
)
FAULTS = _lacking("fault messages", lambda s: s.faults)
SCOPES = _lacking("the DMAR table's scopes", lambda s: any(unit.platform for unit in s.units))
IRQS = _lacking("irqs", lambda s: s.irqs, "irqs")
EVENTS = _lacking("pending events", lambda s: any(v.event_pending is not None for v in s.vcpus), "vcpus")
ANYTHING = _lacking(
    "a Xen, a Linux, a VT-d unit or a message", lambda s: s.vcpus or s.units or s.irqs or s.faults or s.messages
)


@frozen
class Coverage:
    """What a verdict rests on.

    Attributes:
        checked: the rules that were asked, by id.
        missing: those that could not be, with what they need and why that is not known.
        other: those that say nothing about this version of Xen, or about a Linux.
        about: what those are about.
    """

    checked: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]
    other: tuple[str, ...]
    about: str = "other versions of Xen"

    def __str__(self) -> str:
        total = len(self.checked) + len(self.missing) + len(self.other)
        parts = [f"{len(self.checked)} checked"]
        reasons = list(dict.fromkeys(why for _, why in self.missing))
        counts = {why: sum(reason == why for _, reason in self.missing) for why in reasons}
        for why in sorted(reasons, key=lambda why: -counts[why]):
            parts.append(f"{counts[why]} need{'s' if counts[why] == 1 else ''} {why}")
        if self.other:
            parts.append(f"{len(self.other)} {'is' if len(self.other) == 1 else 'are'} about {self.about}")
        return f"{total} rule{'' if total == 1 else 's'}: {', '.join(parts)}"

    def document(self) -> CoverageDocument:
        """What `--json` prints of it."""
        return {
            "checked": list(self.checked),
            "not_checked": [{"rule": rule, "needs": why} for rule, why in self.missing],
            "other_versions": list(self.other),
        }


def missing(needs: Sequence[Need], snapshot: Snapshot) -> str | None:
    """Why these needs are not met; None if they are."""
    return next((why for need in needs if (why := need.missing(snapshot))), None)
