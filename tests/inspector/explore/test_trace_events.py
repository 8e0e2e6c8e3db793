"""A history as a trace, and as a file for Perfetto."""

from __future__ import annotations

import json
from itertools import pairwise

from inspector.explore.steps import actors
from inspector.explore.trace_events import hits, to_perfetto


class TestPerfetto:
    def test_each_step_is_on_its_actors_track(self, reading):
        events = json.loads(to_perfetto(reading))["traceEvents"]
        threads = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
        assert set(actors(reading)) <= set(threads.values())
        for step in reading.steps:
            there = {threads[e["pid"], e["tid"]] for e in events if e["ph"] == "i" and e["ts"] == step.number}
            assert step.actor in there

    def test_situations_are_stretches(self, strandeds):
        events = json.loads(to_perfetto(strandeds))["traceEvents"]
        stretches = [e for e in events if e.get("cat") == "situation" and e["tid"] == 0]
        assert [e["name"].split()[0] for e in stretches] == ["S1", "S2", "between", "S4", "S2"]
        assert all(a["ts"] + a["dur"] == b["ts"] for a, b in pairwise(stretches))

    def test_hits_tell_every_change_of_a_descriptor(self, reading):
        fields = {"pir", "on", "sn", "nv", "ndst"}
        wanted = [(s.number, v, f) for s in reading.steps for v, c in s.changes.items() for f in c if f in fields]
        assert [(hit.time, hit.vcpu, field) for hit in hits(reading) for field in hit.changes] == wanted
