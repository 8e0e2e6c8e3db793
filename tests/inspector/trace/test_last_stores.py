"""The stores since a vCPU was last preempted."""

from __future__ import annotations

from pathlib import Path

from inspector.trace.last_stores import since_preempted
from inspector.trace.trace_event import loads

TRACE = Path(__file__).parents[2] / "data/traces/xen-4.20.4-storm.jsonl"
HITS, _ = loads(TRACE.read_text(), TRACE.name)


def test_they_begin_with_its_preemption_and_end_with_its_last_store() -> None:
    for vcpu in {hit.vcpu for hit in HITS if hit.vcpu}:
        mine = [hit for hit in HITS if hit.vcpu == vcpu]
        found = since_preempted(HITS, vcpu)
        assert found == mine[len(mine) - len(found) :]
        preempted = [hit for hit in mine if hit.changes.get("sn") == (0, 1)]
        assert found[0] is (preempted[-1] if preempted else mine[0])
        assert [hit for hit in found[1:] if hit.changes.get("sn") == (0, 1)] == []
        if preempted:
            assert found[0].function == "vmx_pi_switch_from"


def test_a_vcpu_that_was_never_preempted_has_all_and_one_that_is_not_there_none() -> None:
    first = next(hit for hit in HITS if hit.changes.get("sn") != (0, 1))
    assert since_preempted([first, first], first.vcpu or "") == [first, first]
    assert since_preempted(HITS, "d1v99") == []
