"""What a survey tells of one file."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from inspector import __version__
from inspector.audit import confirm, coverage
from inspector.audit.rule import Severity
from inspector.base.errors import VtdpiError
from inspector.batch.evidence import Evidence, at_hand
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot
from inspector.targets.open_file import open_file
from structs.frozen import frozen

POSTED = "posted"
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""As Parquet holds it: what comes from a file with rows is checked."""


@frozen
class SurveyFinding:
    """A finding of the audit, as `audit --json` has it."""

    severity: Severity
    rule: str
    subject: str
    message: str
    suspicion: bool


@frozen
class Row:
    """One file.

    Attributes:
        file, size, modified: which one, and what tells that it has not changed since.
        vtdpi_version: of the vtdpi that looked at it.
        target: what it is, in words; None if it could not be opened.
        version, build_id: of its Xen; None where not known.
        cpu_count, vcpu_count, blocked_count: of these, blocked are the vCPUs that wait for an event.
        entry_count, posted_count: of the remapping tables: present entries, and those in posted format.
        findings: of the audit, the worst first.
        checked: the rules that could be checked, by id.
        problems: what could not be read, a line each; what keeps the file from being opened is alone there.
        seconds: how long it took.
    """

    file: str
    size: Count | None
    modified: str
    vtdpi_version: str
    target: str | None = None
    version: str | None = None
    build_id: str | None = None
    cpu_count: Count = 0
    vcpu_count: Count = 0
    blocked_count: Count = 0
    entry_count: Count = 0
    posted_count: Count = 0
    findings: tuple[SurveyFinding, ...] = ()
    checked: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def unread(self) -> bool:
        """Whether nothing is known of it."""
        return self.target is None

    def is_of(self, evidence: Evidence) -> bool:
        """Whether it tells what would be found in the file today."""
        same = (self.file, self.size, self.modified) == (evidence.path, evidence.size, evidence.modified)
        return same and bool(self.modified) and self.vtdpi_version == __version__


def survey(evidence: Evidence) -> Row:
    """Open a file, look at all of it, and audit it. What cannot be opened gives a row too."""
    began = time.perf_counter()
    try:
        with at_hand(evidence.path) as path:
            try:
                return _looked_at(evidence, path, began)
            except VtdpiError as error:
                # Of a copy nobody knows the name.
                return unread(evidence, str(error).replace(path, evidence.path), time.perf_counter() - began)
    except VtdpiError as error:
        return unread(evidence, str(error), time.perf_counter() - began)


def _looked_at(evidence: Evidence, path: str, began: float) -> Row:
    with open_file(path) as target:
        inspection = Inspection(target)
        snapshot = inspection.snapshot
        return _row(evidence, target.description.replace(path, evidence.path), snapshot, inspection.notes, began)


def unread(evidence: Evidence, why: str, seconds: float = 0.0) -> Row:
    """The row of a file of which nothing can be said but why."""
    return Row(*_known(evidence), problems=(why,), seconds=round(seconds, 4))


def _known(evidence: Evidence) -> tuple[str, int | None, str, str]:
    return evidence.path, evidence.size, evidence.modified, __version__


def _row(evidence: Evidence, description: str, snapshot: Snapshot, notes: list[str], began: float) -> Row:
    findings = confirm([snapshot])
    formats = snapshot.irt()["format"]
    return Row(
        *_known(evidence),
        *(description, snapshot.version, snapshot.build_id),
        cpu_count=len(snapshot.cpus),
        vcpu_count=len(snapshot.vcpus),
        blocked_count=sum(vcpu.blocked for vcpu in snapshot.vcpus),
        entry_count=len(formats),
        posted_count=int((formats == POSTED).sum()),
        findings=tuple(SurveyFinding(f.severity, f.rule, f.subject, f.message, f.suspicion) for f in findings),
        checked=coverage(snapshot).checked,
        problems=(*snapshot.problems, *notes),
        seconds=round(time.perf_counter() - began, 4),
    )
