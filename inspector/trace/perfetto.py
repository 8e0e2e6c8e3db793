"""A trace as a trace-event file, which Perfetto (ui.perfetto.dev) and Chrome's tracing page open.

Each CPU and each vCPU has a track, and each domain whose posting hooks change. On a vCPU's track a slice tells what its
descriptor has notifications do; each transition is an instant on the tracks of who did it and whose it is. A step of a
simulated machine is shown as a microsecond.

Source: "Trace Event Format" (the Chromium project), JSON Object Format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inspector.trace.trace_event import SECONDS, TraceEvent, Value, document

CPUS, VCPUS, DEVICES, DOMAINS = 1, 2, 3, 5
TITLES = {CPUS: "physical CPUs", VCPUS: "vCPUs", DEVICES: "devices and others"}
MICROSECONDS = 1_000_000

Vectors = tuple[int | None, int | None]


def dumps(hits: Sequence[TraceEvent], unit: str, vectors: Vectors = (None, None)) -> str:
    """The file. `vectors` are Xen's notification and wakeup vectors, `unit` that of the hits' times."""
    return written(events_of(hits, unit, vectors), unit)


def written(events: Sequence[dict[str, Any]], unit: str) -> str:
    """A file of these events."""
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"unit": unit}}) + "\n"


def events_of(hits: Sequence[TraceEvent], unit: str, vectors: Vectors = (None, None)) -> list[dict[str, Any]]:
    """A trace's events, as `dumps` writes them."""
    scale = MICROSECONDS if unit == SECONDS else 1
    vcpus = sorted({hit.vcpu for hit in hits if hit.vcpu}, key=lambda vcpu: (len(vcpu), vcpu))
    tracks = {vcpu: number for number, vcpu in enumerate(vcpus)}
    events: list[dict[str, Any]] = []
    for process, title in TITLES.items():
        events.append(name("process", process, 0, title))
    for cpu in sorted({hit.cpu for hit in hits if hit.cpu is not None}):
        events.append(name("thread", CPUS, cpu, f"CPU {cpu}"))
    for vcpu, number in tracks.items():
        events.append(name("thread", VCPUS, number, vcpu))
    domains = {domain: number for number, domain in enumerate(sorted({hit.domain for hit in hits if hit.domain}))}
    if domains:
        events.append(name("process", DOMAINS, 0, "domains"))
    for domain, number in domains.items():
        events.append(name("thread", DOMAINS, number, domain))
    others = {who: number for number, who in enumerate(dict.fromkeys(hit.where for hit in hits if hit.cpu is None))}
    for who, number in others.items():
        events.append(name("thread", DEVICES, number, "posts" if who == "device" else who))
    for hit in hits:
        events += _instants(hit, _places(hit, tracks, domains, others), scale)
    end = max((hit.time for hit in hits), default=0)
    for vcpu, number in tracks.items():
        events += _slices([hit for hit in hits if hit.vcpu == vcpu], number, end, scale, vectors)
    return events


def name(what: str, process: int, thread: int, title: str) -> dict[str, Any]:
    """The event that names a `process` or a `thread`."""
    return {"ph": "M", "name": f"{what}_name", "pid": process, "tid": thread, "ts": 0, "args": {"name": title}}


def _places(
    hit: TraceEvent, vcpus: dict[str, int], domains: dict[str, int], others: dict[str, int]
) -> list[tuple[int, int]]:
    """The tracks that a hit is on."""
    places = [(DEVICES, others[hit.where]) if hit.cpu is None else (CPUS, hit.cpu)]
    places += [(VCPUS, vcpus[hit.vcpu])] if hit.vcpu else []
    return places + ([(DOMAINS, domains[hit.domain])] if hit.domain else [])


def _instants(hit: TraceEvent, places: list[tuple[int, int]], scale: int) -> list[dict[str, Any]]:
    whole: Mapping[str, Any] = document(hit)
    arguments = {name: whole[name] for name in ("cpu", "function", "vcpu", "domain", "changes") if name in whole}
    words = hit.words()
    title = f"{hit.function or 'post'}: {words}" if words else hit.function or hit.kind
    common = {"ph": "i", "s": "t", "cat": hit.kind, "ts": hit.time * scale, "name": title, "args": arguments}
    return [{**common, "pid": process, "tid": thread} for process, thread in places]


def _slices(hits: Sequence[TraceEvent], track: int, end: float, scale: int, vectors: Vectors) -> list[dict[str, Any]]:
    """The stretches in which SN and NV stay the same."""
    known: dict[str, Value] = {}
    for hit in reversed(hits):
        known.update({name: before for name, (before, _) in hit.changes.items()})
    start, kind, made = 0.0, _kind(known, vectors), []
    for time, changes in (*((hit.time, hit.changes) for hit in hits), (end, None)):
        known.update({name: after for name, (_, after) in (changes or {}).items()})
        following = _kind(known, vectors) if changes is not None else None
        if following != kind:
            if kind and time > start:
                slice_ = {"ph": "X", "cat": "state", "name": kind, "ts": start * scale, "dur": (time - start) * scale}
                made.append({**slice_, "pid": VCPUS, "tid": track})
            start, kind = time, following
    return made


def _kind(known: dict[str, Value], vectors: Vectors) -> str | None:
    if known.get("sn"):
        return "suppressed (SN=1)"
    nv = known.get("nv")
    if not isinstance(nv, int):
        return None
    return {vectors[0]: "notify", vectors[1]: "wakeup"}.get(nv, f"NV {nv:#x}")
