"""Hits as JSON lines and back, and what is no trace."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.trace import trace_file
from inspector.trace.trace_event import (
    FIELDS,
    HOOK,
    HOOK_FIELDS,
    LIST_FIELDS,
    SECONDS,
    STEPS,
    WRITE,
    Beginning,
    TraceEvent,
    dumps,
)
from inspector.trace.trace_file import beginning_of, loads

VECTORS = st.lists(st.integers(0, 255), unique=True).map(lambda found: tuple(sorted(found)))
NUMBERS = st.integers(0, (1 << 32) - 1)
CHANGES = st.fixed_dictionaries(
    {},
    optional={"pir": st.tuples(VECTORS, VECTORS)}
    | {name: st.tuples(NUMBERS, NUMBERS) for name in ("on", "sn", "nv", "ndst")},
)
HITS = st.builds(
    TraceEvent,
    st.floats(0, 1e6),
    st.sampled_from((WRITE, HOOK)),
    st.none() | st.integers(0, 4095),
    st.none() | st.text(),
    st.none() | st.text(),
    CHANGES,
)


@given(st.lists(HITS), st.sampled_from((SECONDS, STEPS)))
def test_there_and_back(hits, unit):
    assert loads(dumps(hits, unit), "a file") == (hits, unit)


HEAD = dumps([], STEPS)


def hit(**fields):
    """A line of a trace, with some of its fields."""
    whole = {"time": 0, "kind": WRITE, "cpu": 0, "function": None, "vcpu": None, "changes": {}}
    return json.dumps(whole | fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "[]",
        "{}",
        '{"format": "vtdpi trace", "unit": "years"}',
        HEAD + "{}",
        HEAD + "[1]",
        HEAD + '{"time": "x", "kind": "write", "cpu": 0, "function": null, "vcpu": null, "changes": {}}',
        HEAD + '{"time": 0, "kind": "write", "cpu": 0, "function": null, "vcpu": null, "changes": {"x": {}}}',
        HEAD + '{"time": 1e400, "kind": "write", "cpu": 0, "function": null, "vcpu": null, "changes": {}}',
        HEAD + '{"time": -1, "kind": "write", "cpu": 0, "function": null, "vcpu": null, "changes": {}}',
        HEAD + "[" * 100_000,
        "[" * 100_000,
        HEAD + "9" * 5000,
        *(
            HEAD + hit(**{name: value})
            for name, value in (("time", True), ("cpu", True), ("cpu", -1), ("cpu", 1 << 80))
        ),
        *(HEAD + hit(changes={"on": {"before": 0, "after": value}}) for value in (True, -1, 1 << 200, [1], None)),
        *(HEAD + hit(changes={"pir": {"before": [], "after": value}}) for value in ("ab", {}, [-1], [256], [1] * 300)),
        HEAD + hit(changes={"blocking_list": {"before": None, "after": -5}}),
    ],
)
def test_what_is_no_trace_is_told_in_a_line(text):
    with pytest.raises(TargetError, match=r"a file.*no (?:trace|hit)"):
        loads(text, "a file")


BEGINNING = {"cpus": 2, "x2apic": False, "vectors": [0xF4, 0xF3], "fields": {"d1v0": {"on": 0, "pir": [1]}}}


def beginning(**fields):
    return json.dumps({"format": "vtdpi trace", "unit": STEPS, "beginning": BEGINNING | fields})


def test_how_it_began():
    began = beginning_of(beginning(), "a file")
    assert (began.cpus, began.x2apic, began.vectors) == (2, False, (0xF4, 0xF3))
    assert began.fields == {"d1v0": {"on": 0, "pir": (1,)}}


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        "[" * 100_000,
        *(beginning(cpus=value) for value in (float("inf"), -4, 1 << 100, "12", True, None)),
        *(beginning(vectors=value) for value in (["1", "2"], [1, 2, 3], "12", [1, 256], 5)),
        *(beginning(fields={"d1v0": value}) for value in ({"x": 1}, {"pir": [[1]]}, {"pir": 5}, {"on": [1]}, 3)),
        beginning(x2apic="no"),
    ],
)
def test_what_tells_no_beginning_is_told_in_a_line(text):
    with pytest.raises(TargetError, match="a file does not tell in what state it began"):
        beginning_of(text, "a file")


def test_every_field_has_its_place_in_a_file():
    assert trace_file._Fields.__struct_encode_fields__ == FIELDS + LIST_FIELDS
    assert trace_file._Changes.__struct_encode_fields__ == FIELDS + LIST_FIELDS + HOOK_FIELDS
    assert trace_file._Hooks.__struct_encode_fields__ == HOOK_FIELDS


def test_a_domains_hooks_go_into_a_file_and_come_back():
    changes = {"pi_ops.flags": (3, 2), "pi_ops.vcpu_block": ("vmx_vcpu_block", None)}
    gone = TraceEvent(0.5, WRITE, 1, "vmx_pi_hooks_deassign", None, changes, line="vmx.c:279", domain="d1")
    before = Beginning(2, True, (0xF2, 0xF3), {}, {"d1": {"pi_ops.flags": 3, "pi_ops.vcpu_block": "vmx_vcpu_block"}})
    text = dumps([gone], SECONDS, before)
    assert loads(text, "a file") == ([gone], SECONDS)
    assert beginning_of(text, "a file") == before
    older = json.loads(text.splitlines()[0])
    del older["beginning"]["domains"]
    assert beginning_of(json.dumps(older), "a file").domains == {}


def test_the_argument_and_the_callers_of_a_function_are_kept():
    hit = TraceEvent(1, HOOK, 0, "vcpu_wake", "d0v0", argument="d1v0", callers=("vcpu_kick+0x11", "idle_loop+0xc6"))
    hits, unit = loads(dumps([hit], STEPS), "it")
    assert (hits, unit) == ([hit], STEPS)
