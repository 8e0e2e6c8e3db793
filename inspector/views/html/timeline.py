"""A trace as a timeline: a lane for each vCPU, coloured by what its descriptor has notifications do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from inspector.views.html.markup import tag

if TYPE_CHECKING:
    from inspector.trace.trace_event import TraceEvent, Value

NAME, WIDTH, LANE, HEIGHT = 56, 900, 26, 14
LANES = 64
TICKS = 5

Vectors = tuple[int | None, int | None]


def timeline(hits: Sequence[TraceEvent], unit: str, vectors: Vectors) -> Element:
    """The timeline. `vectors` are Xen's notification and wakeup vectors."""
    writes = [hit for hit in hits if hit.vcpu and hit.changes]
    names = sorted({hit.vcpu for hit in writes if hit.vcpu}, key=_natural)[:LANES]
    end = max((hit.time for hit in hits), default=0) or 1
    height = len(names) * LANE + 22
    drawing = tag("svg", viewBox=f"0 0 {NAME + WIDTH} {height}", width=NAME + WIDTH, role="img", aria_label="timeline")
    for row, name in enumerate(names):
        drawing.append(_lane(name, [hit for hit in writes if hit.vcpu == name], row * LANE, end, vectors, unit))
    for tick in range(TICKS + 1):
        x = NAME + WIDTH * tick / TICKS
        anchor = "end" if tick == TICKS else "middle" if tick else "start"
        words = f"{end * tick / TICKS:.4g} {unit}"
        drawing.append(tag("text", words, x=f"{x:.1f}", y=height - 5, text_anchor=anchor, class_="axis"))
    return drawing


def key(kind: str, words: str) -> Element:
    """What a colour, or a mark, means."""
    shape = tag("path", d="M7 2V16", class_="mark") if kind == "mark" else tag("rect", width=14, height=14, class_=kind)
    return tag("span", tag("svg", shape, viewBox="0 0 14 14", aria_hidden="true"), words, class_="key")


def _lane(name: str, hits: Sequence[TraceEvent], y: int, end: float, vectors: Vectors, unit: str) -> Element:
    lane = tag("g", tag("text", name, x=0, y=y + 12, class_="name"))
    known: dict[str, Value] = {}
    for hit in reversed(hits):
        known.update({field: before for field, (before, _) in hit.changes.items()})
    start, kind = 0.0, _kind(known, vectors)
    marks = []
    for hit in hits:
        known.update({field: after for field, (_, after) in hit.changes.items()})
        following = _kind(known, vectors)
        if following != kind:
            lane.append(_bar(start, hit.time, y, end, kind))
            start, kind = hit.time, following
        if "pir" in hit.changes and len(_vectors(hit, 1)) > len(_vectors(hit, 0)):
            x = _x(hit.time, end)
            words = f"{hit.time:g} {unit}: {hit.where}, {hit.function or 'post'}: {hit.words()}"
            marks.append(tag("path", tag("title", words), d=f"M{x:.1f} {y - 1}V{y + HEIGHT + 3}", class_="mark"))
    lane.append(_bar(start, end, y, end, kind))
    lane.extend(marks)
    return lane


def _vectors(hit: TraceEvent, which: int) -> tuple[int, ...]:
    value = hit.changes["pir"][which]
    return value if isinstance(value, tuple) else ()


def _kind(known: dict[str, Value], vectors: Vectors) -> str:
    """What a notification now does: `suppressed` is the letter S in words; the lanes' heights differ as well."""
    if known.get("sn"):
        return "suppressed"
    nv = known.get("nv")
    if nv is None:
        return "other"
    return {vectors[0]: "notify", vectors[1]: "wakeup"}.get(nv if isinstance(nv, int) else None, "other")


def _bar(start: float, stop: float, y: int, end: float, kind: str) -> Element:
    """A stretch of a lane; each kind has a height of its own, so that it is told without colour."""
    height = {"wakeup": HEIGHT, "notify": HEIGHT // 2, "suppressed": 3}.get(kind, HEIGHT // 2)
    x, width = _x(start, end), max(_x(stop, end) - _x(start, end), 0.5)
    words = {"wakeup": "NV wakeup", "notify": "NV notify", "suppressed": "SN=1"}.get(kind, "not known")
    box = {"x": f"{x:.1f}", "y": y + HEIGHT - height, "width": f"{width:.1f}", "height": height}
    return tag("rect", tag("title", f"{words}, {start:g} to {stop:g}"), class_=kind, **box)


def _x(time: float, end: float) -> float:
    return NAME + WIDTH * min(max(time, 0), end) / end


def _natural(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.replace("v", " ").replace("d", " ").split() if part.isdigit())
