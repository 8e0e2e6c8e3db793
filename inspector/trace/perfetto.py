"""A trace as a trace-event file, which Perfetto (ui.perfetto.dev) and Chrome's tracing page open.

Each CPU and each vCPU has a track. On a vCPU's track a slice tells what its descriptor has notifications do; each
transition is an instant on both tracks. A step of a simulated machine is shown as a microsecond.

Source: "Trace Event Format" (the Chromium project), JSON Object Format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from inspector.trace.hit import SECONDS, Hit, Value, document

CPUS, VCPUS, DEVICES = 1, 2, 3
TITLES = {CPUS: "physical CPUs", VCPUS: "vCPUs", DEVICES: "devices"}
MICROSECONDS = 1_000_000

Vectors = tuple[int | None, int | None]


def dumps(hits: Sequence[Hit], unit: str, vectors: Vectors = (None, None)) -> str:
    """The file. `vectors` are Xen's notification and wakeup vectors, `unit` that of the hits' times."""
    scale = MICROSECONDS if unit == SECONDS else 1
    names = sorted({hit.vcpu for hit in hits if hit.vcpu}, key=lambda name: (len(name), name))
    tracks = {name: number for number, name in enumerate(names)}
    events: list[dict[str, Any]] = []
    for process, title in TITLES.items():
        events.append(_name("process", process, 0, title))
    for cpu in sorted({hit.cpu for hit in hits if hit.cpu is not None}):
        events.append(_name("thread", CPUS, cpu, f"CPU {cpu}"))
    for name, number in tracks.items():
        events.append(_name("thread", VCPUS, number, name))
    if any(hit.cpu is None for hit in hits):
        events.append(_name("thread", DEVICES, 0, "posts"))
    for hit in hits:
        events += _instants(hit, tracks, scale)
    end = max((hit.time for hit in hits), default=0)
    for name, number in tracks.items():
        events += _slices([hit for hit in hits if hit.vcpu == name], number, end, scale, vectors)
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"unit": unit}}) + "\n"


def _name(what: str, process: int, thread: int, title: str) -> dict[str, Any]:
    return {"ph": "M", "name": f"{what}_name", "pid": process, "tid": thread, "ts": 0, "args": {"name": title}}


def _instants(hit: Hit, tracks: dict[str, int], scale: int) -> list[dict[str, Any]]:
    place = (DEVICES, 0) if hit.cpu is None else (CPUS, hit.cpu)
    places = [place] + ([(VCPUS, tracks[hit.vcpu])] if hit.vcpu else [])
    whole = document(hit)
    arguments = {name: whole[name] for name in ("cpu", "function", "vcpu", "changes")}
    words = hit.words()
    title = f"{hit.function or 'post'}: {words}" if words else hit.function or hit.kind
    common = {"ph": "i", "s": "t", "cat": hit.kind, "ts": hit.time * scale, "name": title, "args": arguments}
    return [{**common, "pid": process, "tid": thread} for process, thread in places]


def _slices(hits: Sequence[Hit], track: int, end: float, scale: int, vectors: Vectors) -> list[dict[str, Any]]:
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
