"""The stores that led to where a vCPU stands."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.trace.trace_event import WRITE, TraceEvent

SUPPRESSED = (0, 1)
"""How SN changes when a vCPU is preempted (`vmx_pi_switch_from`)."""


def last_stores(hits: Sequence[TraceEvent], vcpu: str) -> list[TraceEvent]:
    """The stores to a vCPU's descriptor and list node from a preemption on: the last one before the oldest vector that
    is still in PIR was posted; the last one of all, if PIR is empty.

    All of them, if the trace holds no such preemption; none, if it holds none of that vCPU.
    """
    mine = [hit for hit in hits if hit.kind == WRITE and hit.vcpu == vcpu]
    end = _oldest_post(mine)
    return mine[max((at for at, hit in enumerate(mine[:end]) if hit.changes.get("sn") == SUPPRESSED), default=0) :]


def _oldest_post(stores: Sequence[TraceEvent]) -> int:
    """The place of the store that posted the oldest vector that PIR still has; behind the last, if it has none."""
    posted: dict[int, int] = {}
    for at, hit in enumerate(stores):
        _, after = hit.changes.get("pir", (None, None))
        if isinstance(after, tuple):
            posted = {vector: posted.get(vector, at) for vector in after}
    return min(posted.values(), default=len(stores))


def folded(stores: Sequence[TraceEvent]) -> list[Sequence[TraceEvent]]:
    """The stores in their order: each alone, but preemptions one after the other, SN set and SN clear, together."""
    groups: list[Sequence[TraceEvent]] = []
    at = 0
    while at < len(stores):
        end = at
        while [hit.changes for hit in stores[end : end + 2]] == [{"sn": SUPPRESSED}, {"sn": SUPPRESSED[::-1]}]:
            end += 2
        groups.append(stores[at : end if end - at > 2 else at + 1])
        at += len(groups[-1])
    return groups
