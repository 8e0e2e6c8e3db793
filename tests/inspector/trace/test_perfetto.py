"""Trace-event files: every hit on its tracks, and the stretches between."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inspector.trace.perfetto import CPUS, DEVICES, DOMAINS, VCPUS, dumps, events_of
from inspector.trace.trace_event import HOOK, SECONDS, STEPS, WRITE, TraceEvent

P, W = 0xF1, 0xF2


def write(time, vcpu="d1v0", cpu=0, **changes):
    return TraceEvent(time, WRITE, cpu, "vmx_vcpu_block", vcpu, changes)


def slices(events):
    return [(e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]


def test_stretches_tell_what_notifications_do():
    hits = [write(10, nv=(P, W)), write(30, sn=(0, 1)), write(40, sn=(1, 0)), write(50, nv=(W, 0x20))]
    assert slices(events_of([*hits, write(60, on=(0, 1))], STEPS, (P, W))) == [
        ("notify", 0, 10),
        ("wakeup", 10, 20),
        ("suppressed (SN=1)", 30, 10),
        ("wakeup", 40, 10),
        ("NV 0x20", 50, 10),
    ]


def test_what_is_not_known_has_no_stretch():
    assert slices(events_of([write(5, on=(0, 1)), write(9, on=(1, 0))], STEPS, (P, W))) == []


def test_seconds_are_shown_in_microseconds():
    (first, *_) = [e for e in events_of([write(0.25, on=(0, 1))], SECONDS) if e["ph"] == "i"]
    assert first["ts"] == 250_000


def test_a_hit_is_on_its_cpus_and_its_vcpus_track():
    events = events_of([write(1, cpu=3, on=(0, 1)), TraceEvent(2, WRITE, None, None, "d1v10", {"on": (0, 1)})], STEPS)
    places = [(e["pid"], e["ts"]) for e in events if e["ph"] == "i"]
    assert places == [(CPUS, 1), (VCPUS, 1), (DEVICES, 2), (VCPUS, 2)]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {(CPUS, 3): "CPU 3", (VCPUS, 0): "d1v0", (VCPUS, 1): "d1v10", (DEVICES, 0): "posts"}


def test_a_domain_whose_hooks_change_has_a_track():
    hooks = TraceEvent(2, WRITE, 1, "vmx_pi_hooks_assign", None, {"pi_ops.flags": (0, 3)}, domain="d1")
    events = events_of([write(1, on=(0, 1)), hooks], STEPS)
    places = [(e["pid"], e["ts"], e["args"].get("domain")) for e in events if e["ph"] == "i"]
    assert places == [(CPUS, 1, None), (VCPUS, 1, None), (CPUS, 2, "d1"), (DOMAINS, 2, "d1")]
    assert ("d1", DOMAINS) in {(e["args"]["name"], e["pid"]) for e in events if e["name"] == "thread_name"}
    assert DOMAINS not in {e["pid"] for e in events_of([write(1, on=(0, 1))], STEPS)}


def test_nothing_traced_is_a_file_all_the_same():
    document = json.loads(dumps([], STEPS))
    assert {e["ph"] for e in document["traceEvents"]} == {"M"}
    assert document["otherData"] == {"unit": STEPS}


hits = st.builds(
    TraceEvent,
    st.integers(0, 100),
    st.sampled_from((WRITE, HOOK)),
    st.none() | st.integers(0, 3),
    st.none() | st.just("f"),
    st.none() | st.sampled_from(("d1v0", "d1v1", "d12v3")),
    st.dictionaries(st.sampled_from(("on", "sn")), st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=2),
)


@given(st.lists(hits, max_size=12))
def test_every_track_is_named_and_stretches_do_not_overlap(made):
    made.sort(key=lambda hit: hit.time)
    events = json.loads(dumps(made, STEPS, (P, W)))["traceEvents"]
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] in "iX"} <= named
    assert sum(e["ph"] == "i" for e in events) == len(made) + sum(hit.vcpu is not None for hit in made)
    for track in {e["tid"] for e in events if e["ph"] == "X"}:
        ends = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X" and e["tid"] == track]
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))
