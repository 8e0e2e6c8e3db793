"""The stores that led to where a vCPU stands: those of a trace since it was last preempted."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.trace.trace_event import WRITE, TraceEvent


def since_preempted(hits: Sequence[TraceEvent], vcpu: str) -> list[TraceEvent]:
    """The stores to a vCPU's descriptor and list node from the last that set SN (`vmx_pi_switch_from`) on.

    All of them, if the trace holds none that did; none, if it holds none of that vCPU.
    """
    mine = [hit for hit in hits if hit.kind == WRITE and hit.vcpu == vcpu]
    first = max((place for place, hit in enumerate(mine) if hit.changes.get("sn") == (0, 1)), default=0)
    return mine[first:]
