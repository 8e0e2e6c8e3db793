"""What `vtdpi coverage` tells of a trace, and of what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inspector.base.errors import TargetError, UsageError
from inspector.explore.coverage import coverage
from inspector.model.answer import Text

TRACE = Path(__file__).parents[2] / "data/traces/xen-4.20.4-storm.jsonl"


@pytest.mark.thorough
def test_each_step_with_how_often_it_was_seen() -> None:
    document = coverage(TRACE.read_text(), TRACE.name, "current").document
    assert (document["change_count"], document["accepted_count"], document["refused"]) == (700, 700, [])
    seen = {(each["function"], each["step_name"]): each["count"] for each in document["steps"]}
    assert seen["vmx_pi_switch_from", "suppresses notifications"] > 0
    assert seen["pi_wakeup_interrupt", "takes it off the list"] == 0


@pytest.mark.thorough
def test_the_situations_that_a_trace_tells_and_what_tells_none() -> None:
    older = coverage(TRACE.read_text(), TRACE.name, "current").document
    assert older["situation_counts"] is None
    head, *lines = TRACE.read_text().splitlines()
    told = [
        json.dumps({**json.loads(line), "situation": name})
        for line, name in zip(lines[:3], ("S2", "S8", "S8"), strict=True)
    ]
    document = coverage("\n".join([head, *told]), "t.jsonl", "current").document
    assert {name: count for name, count in document["situation_counts"].items() if count} == {"S2": 1, "S8": 2}
    assert list(document["situation_counts"]) == [f"S{number}" for number in range(1, 16)]
    with pytest.raises(TargetError, match="situation 'S99'"):
        coverage("\n".join([head, *told]).replace("S8", "S99"), "t.jsonl", "current")


def test_the_stores_since_a_vcpu_was_last_preempted() -> None:
    head, *lines = TRACE.read_text().splitlines()
    answer = coverage("\n".join([head, *lines[:40]]), TRACE.name, "current", "d1v0")
    mine = [hit for hit in map(json.loads, lines[:40]) if hit["vcpu"] == "d1v0"]
    stores = answer.document["stores"]
    assert stores
    assert stores == mine[-len(stores) :]
    with pytest.raises(UsageError, match="no store to d1v77; it has some to d1v0"):
        coverage("\n".join([head, *lines[:40]]), TRACE.name, "current", "d1v77")


@pytest.mark.thorough
def test_changes_of_hooks_are_counted_apart() -> None:
    head, *lines = TRACE.read_text().splitlines()
    changes = {"pi_ops.vcpu_block": {"before": "vmx_vcpu_block", "after": None}}
    gone = {"time": 1, "kind": "write", "cpu": 0, "function": "vmx_pi_hooks_deassign", "vcpu": None, "domain": "d1"}
    text = "\n".join([head, *lines[:3], json.dumps(gone | {"changes": changes}), *lines[3:40]])
    answer = coverage(text, TRACE.name, "current")
    document = answer.document
    assert (document["change_count"], document["accepted_count"], document["hook_change_count"]) == (40, 40, 1)
    assert any(
        "1 change of pi_ops: not held against" in block.text for block in answer.blocks if isinstance(block, Text)
    )
    assert coverage(TRACE.read_text(), TRACE.name, "current").document["hook_change_count"] == 0


@pytest.mark.thorough
def test_what_another_logic_cannot_do_is_named() -> None:
    document = coverage(TRACE.read_text(), TRACE.name, "current with no-recheck").document
    assert document["version"] == "current with no-recheck"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no trace"),
        ('{"format": "vtdpi trace", "unit": "s"}\n', "does not tell in what state it began"),
        (
            '{"format": "vtdpi trace", "unit": "s", "beginning": {"cpus": 2, "fields": 3}}\n',
            "does not tell in what state",
        ),
    ],
)
def test_what_is_no_such_trace_is_one_line(text: str, said: str) -> None:
    with pytest.raises(TargetError, match=said):
        coverage(text, "t.jsonl", "current")


def test_a_trace_that_names_other_vcpus_or_no_lists_is_one_line() -> None:
    head, *lines = TRACE.read_text().splitlines()
    other = [line.replace('"d1v', '"d2v') for line in lines[:3]]
    with pytest.raises(TargetError, match="expected vCPUs of domain 1"):
        coverage("\n".join([head, *other]), "t.jsonl", "current")
    begun = json.loads(head)
    for fields in begun["beginning"]["fields"].values():
        del fields["blocking_list"]
    with pytest.raises(TargetError, match="does not follow the blocking lists"):
        coverage("\n".join([json.dumps(begun), *lines[:3]]), "t.jsonl", "current")
    with pytest.raises(UsageError, match="no version"):
        coverage(TRACE.read_text(), "t.jsonl", "9.9")


def changed(line: str, **members: object) -> str:
    return json.dumps(json.loads(line) | members)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"vcpu": "d1v9"}, "a store to d1v9, which was not there when it began"),
        ({"cpu": 77}, "tells of CPU 77; it began with"),
        ({"changes": {"blocking_list": {"before": None, "after": 99}}}, "tells of CPU 99; it began with"),
    ],
)
def test_a_trace_of_what_its_beginning_does_not_tell_is_one_line(members: dict[str, object], said: str) -> None:
    head, *lines = TRACE.read_text().splitlines()
    with pytest.raises(TargetError, match=said):
        coverage("\n".join([head, *lines[:3], changed(lines[3], **members)]), "t.jsonl", "current")


def test_a_beginning_of_no_machine_is_the_traces_fault() -> None:
    head, *lines = TRACE.read_text().splitlines()
    begun = json.loads(head)
    begun["beginning"]["cpus"] = 60000
    with pytest.raises(TargetError, match="60000 CPUs: Xen takes 1 to 256"):
        coverage("\n".join([json.dumps(begun), *lines[:3]]), "t.jsonl", "current")
