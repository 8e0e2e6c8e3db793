"""Hits as JSON lines and back, and what is no trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import UsageError
from inspector.trace.trace_event import HOOK, SECONDS, STEPS, WRITE, TraceEvent, dumps, loads

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
    ],
)
def test_what_is_no_trace_is_told_in_a_line(text):
    with pytest.raises(UsageError, match=r"a file.*no (?:trace|hit)"):
        loads(text, "a file")
