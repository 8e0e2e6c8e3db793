"""The stores that led to where a vCPU stands."""

from __future__ import annotations

from pathlib import Path

from inspector.trace.last_stores import folded, last_stores
from inspector.trace.trace_event import TraceEvent, Value
from inspector.trace.trace_file import loads

TRACE = Path(__file__).parents[2] / "data/traces/xen-4.20.4-storm.jsonl"
HITS, _ = loads(TRACE.read_text(), TRACE.name)


def store(**changes: tuple[Value, Value]) -> TraceEvent:
    return TraceEvent(0.0, "write", 0, "f", "d1v2", changes)


PREEMPTED, RESUMED = store(sn=(0, 1)), store(sn=(1, 0))
POSTED, TAKEN = store(pir=((), (0x52,))), store(pir=((0x52,), ()))
BLOCKED = store(nv=(0xF2, 0xF3))


def test_they_begin_with_a_preemption_and_end_with_its_last_store() -> None:
    for vcpu in {hit.vcpu for hit in HITS if hit.vcpu}:
        mine = [hit for hit in HITS if hit.vcpu == vcpu]
        found = last_stores(HITS, vcpu)
        assert found == mine[len(mine) - len(found) :]
        preempted = [hit for hit in mine if hit.changes.get("sn") == (0, 1)]
        assert found[0] in preempted if preempted else found[0] is mine[0]
        if preempted:
            assert found[0].function == "vmx_pi_switch_from"


def test_a_lost_post_has_the_preemption_before_it_and_a_taken_one_does_not_matter() -> None:
    led = [PREEMPTED, POSTED, RESUMED, PREEMPTED, RESUMED, BLOCKED]
    assert last_stores([PREEMPTED, POSTED, RESUMED, TAKEN, *led], "d1v2") == led
    assert last_stores([*led, TAKEN], "d1v2") == [PREEMPTED, RESUMED, BLOCKED, TAKEN]


def test_preemptions_that_change_nothing_else_are_one_row() -> None:
    stores = [PREEMPTED, POSTED, RESUMED, *[PREEMPTED, RESUMED] * 3, BLOCKED]
    assert [len(group) for group in folded(stores)] == [1, 1, 1, 6, 1]
    assert [hit for group in folded(stores) for hit in group] == stores
    assert [len(group) for group in folded([PREEMPTED, RESUMED, BLOCKED])] == [1, 1, 1]


def test_a_vcpu_that_was_never_preempted_has_all_and_one_that_is_not_there_none() -> None:
    first = next(hit for hit in HITS if hit.changes.get("sn") != (0, 1))
    assert last_stores([first, first], first.vcpu or "") == [first, first]
    assert last_stores(HITS, "d1v99") == []
