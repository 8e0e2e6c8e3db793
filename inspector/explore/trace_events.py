"""A history as the hits of a trace, whose time is the number of the step; and as a file for Perfetto."""

from __future__ import annotations

from typing import Any

from inspector.analysis.situation import label
from inspector.explore.steps import Reading, Step
from inspector.trace import perfetto
from inspector.trace.trace_event import FIELDS, HOOK, STEPS, WRITE, TraceEvent, Value

SITUATIONS = 4


def hits(reading: Reading) -> list[TraceEvent]:
    """A hit for each change of a descriptor, and one for each step that changes none."""
    return [hit for step in reading.steps for hit in _hits(step)]


def starts(reading: Reading) -> list[TraceEvent]:
    """What the descriptors are like before, as changes that change nothing: a timeline begins with them."""
    return [
        TraceEvent(0, WRITE, None, None, vcpu, {field: (_value(state[field]),) * 2 for field in ("sn", "nv")})
        for vcpu, state in reading.start.items()
    ]


def to_perfetto(reading: Reading) -> str:
    """The history as a trace-event file: as a trace, and each vCPU's situations on a track of its own."""
    vectors = (reading.after.posted_intr_vector, reading.after.pi_wakeup_vector)
    events = perfetto.events_of(hits(reading), STEPS, vectors)
    events.append(perfetto.name("process", SITUATIONS, 0, "situations"))
    for track, vcpu in enumerate(reading.start):
        events.append(perfetto.name("thread", SITUATIONS, track, vcpu))
        events += _stretches(reading, vcpu, track)
    return perfetto.written(events, STEPS)


def _hits(step: Step) -> list[TraceEvent]:
    cpu = step.cpu
    actor = None if cpu is not None else step.actor
    made = []
    for vcpu, changes in step.changes.items():
        of_descriptor = {field: (_value(a), _value(b)) for field, (a, b) in changes.items() if field in FIELDS}
        if of_descriptor:
            made.append(TraceEvent(step.number, WRITE, cpu, step.function, vcpu, of_descriptor, actor))
    return made or [TraceEvent(step.number, HOOK, cpu, f"{step.function}: {step.action}", None, {}, actor)]


def _value(value: object) -> Value:
    assert isinstance(value, int | tuple)
    return value


def _stretches(reading: Reading, vcpu: str, track: int) -> list[dict[str, Any]]:
    """How long the vCPU is in each situation."""
    began, where, made = 0, reading.situations.get(vcpu), []
    moves = [(step.number, step.situations[vcpu]) for step in reading.steps if vcpu in step.situations]
    for number, following in (*moves, (len(reading.steps), None)):
        if where and number > began:
            slice_ = {"ph": "X", "cat": "situation", "name": label(where), "ts": began, "dur": number - began}
            made.append({**slice_, "pid": SITUATIONS, "tid": track})
        began, where = number, following
    return made
