"""One look after the other at a machine that moves in between, and what changed from each to the next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from inspector.analysis import vcpu_words as words
from inspector.analysis.situation import label, situation
from inspector.audit import INFO, Finding, confirm
from inspector.base.errors import NotHere
from inspector.model.snapshot import BlockingList, Snapshot, Vcpu
from inspector.targets.target import Control, Driven
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection

COLUMNS = ("VCPU", "STATE", "CPU", "PIR", "ON", "SN", "NV", "NDST", "LIST", "SITUATION")
HISTORY = 16
SHOWN_VECTORS = 4


@frozen
class Row:
    """A vCPU: its cells, which of them differ from the look before, PIR's activity look by look, its findings."""

    cells: tuple[str, ...]
    changed: tuple[bool, ...]
    activity: tuple[int, ...]
    findings: tuple[str, ...]


@frozen
class Seen:
    """One look.

    Attributes:
        number: counted from 1.
        snapshot: what was seen, whole.
        rows: the vCPUs.
        lists: the lists of blocked vCPUs, as text, and whether they changed.
        findings: what the audit says now, bugs and warnings; a suspicion only once two looks have shown the same.
        suspicions: how many there are that no second look has confirmed.
        fresh: those of them that the look before did not have.
        stopped: seconds for which the guest stood still for this look; None if it does not run of itself.
    """

    number: int
    snapshot: Snapshot
    rows: tuple[Row, ...]
    lists: tuple[tuple[str, bool], ...]
    findings: tuple[Finding, ...]
    fresh: tuple[Finding, ...]
    stopped: float | None
    problems: Sequence[str] = ()
    suspicions: int = 0


class Looks:
    """Looks at a live or simulated machine. A context manager: leaving it, a machine that ran before runs again.

    Args:
        look: at the machine as it stands; one that runs is stopped for each look only.
        steps: how many a simulated machine does between two looks.

    Raises:
        NotHere: the machine stands still for good.
    """

    def __init__(self, inspection: Inspection, steps: int) -> None:
        self._inspection = inspection
        self._steps = steps
        self._target: object = inspection.target
        if not isinstance(self._target, Control | Driven):
            raise NotHere(
                f"{inspection.target.description} stands still for good: only a live or simulated machine changes"
            )
        self.live = isinstance(self._target, Control)
        self._was_running = isinstance(self._target, Control) and self._target.running
        self._before: Snapshot | None = None
        self._last: Seen | None = None
        self._activity: dict[str, deque[int]] = {}

    def __enter__(self) -> Looks:
        return self

    def __exit__(self, *why: object) -> None:
        if isinstance(self._target, Control):
            (self._target.cont if self._was_running else self._target.stop)()

    def pause(self) -> None:
        """Have a live machine stand still from now on; `take` lets it go on."""
        if isinstance(self._target, Control):
            self._target.stop()

    def take(self, wait: Callable[[], None] = lambda: None) -> Seen:
        """The next look. Between it and the last, a live machine runs while `wait` waits, a simulated one its steps."""
        if self._before is not None:
            if isinstance(self._target, Control):
                self._target.cont()
            elif isinstance(self._target, Driven):
                self._target.drive("run", self._steps)
        wait()
        start = time.monotonic()
        if isinstance(self._target, Control):
            self._target.stop()
        self._inspection = self._inspection.again()
        snapshot = self._inspection.machine()
        stopped = None
        if isinstance(self._target, Control):
            self._target.cont()
            stopped = time.monotonic() - start
        self._last = self._seen(snapshot, stopped)
        self._before = snapshot
        return self._last

    def _seen(self, snapshot: Snapshot, stopped: float | None) -> Seen:
        before = self._last
        known = {row.cells[0]: row for row in before.rows} if before else {}
        snapshots = [self._before, snapshot] if self._before else [snapshot]
        found = [finding for finding in confirm(snapshots) if finding.severity != INFO]
        findings = tuple(finding for finding in found if not finding.suspicion)
        said: dict[str, list[str]] = {}
        for finding in findings:
            said.setdefault(finding.subject, []).append(f"{finding.rule} {finding.severity}")
        old = {(f.rule, f.subject, f.severity) for f in before.findings} if before else set()
        lists = [_list(of_cpu) for of_cpu in snapshot.lists]
        earlier = {text for text, _ in before.lists} if before else set(lists)
        return Seen(
            before.number + 1 if before else 1,
            snapshot,
            tuple(self._row(snapshot, vcpu, known, tuple(said.get(vcpu.name, ()))) for vcpu in snapshot.vcpus),
            tuple((text, text not in earlier) for text in lists),
            findings,
            tuple(f for f in findings if (f.rule, f.subject, f.severity) not in old),
            stopped,
            snapshot.problems,
            len(found) - len(findings),
        )

    def _row(self, snapshot: Snapshot, vcpu: Vcpu, known: dict[str, Row], said: tuple[str, ...]) -> Row:
        activity = self._activity.setdefault(vcpu.name, deque([0] * HISTORY, HISTORY))
        old = self._before.by_name.get(vcpu.name) if self._before else None
        if vcpu.pi and old and old.pi:
            activity.append(len(set(vcpu.pi.pir) ^ set(old.pi.pir)))
        row = Row(_cells(snapshot, vcpu), (), tuple(activity), said)
        past = known.get(vcpu.name)
        changed = tuple(a != b for a, b in zip(row.cells, past.cells if past else row.cells, strict=True))
        return replace(row, changed=changed)


def _cells(snapshot: Snapshot, vcpu: Vcpu) -> tuple[str, ...]:
    state = vcpu.runstate + (" guest" if vcpu.in_guest else "")
    cpu = "-" if vcpu.cpu is None else str(vcpu.cpu)
    listed = "-" if vcpu.blocking_list is None else f"CPU {vcpu.blocking_list}"
    where = situation(snapshot, vcpu)
    pi = vcpu.pi
    if pi is None:
        return vcpu.name, state, cpu, "-", "-", "-", "-", "-", listed, "paravirtualised" if not vcpu.hvm else "-"
    more = f" +{len(pi.pir) - SHOWN_VECTORS}" if len(pi.pir) > SHOWN_VECTORS else ""
    return (
        *(vcpu.name, state, cpu, words.vectors(pi.pir[:SHOWN_VECTORS]) + more, str(pi.on), str(pi.sn)),
        *(words.vector_name(snapshot, pi.nv), words.destination(snapshot, pi.ndst), listed),
        label(where.id) if where else "-",
    )


def _list(of_cpu: BlockingList) -> str:
    nodes = " \u2192 ".join(node.vcpu or f"{node.address:#x}?" for node in of_cpu.nodes) or "empty"
    return f"CPU {of_cpu.cpu}: {nodes}" + (f"  BROKEN: {of_cpu.broken}" if of_cpu.broken else "")
