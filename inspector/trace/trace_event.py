"""One transition: when, who, where, and what changed. As JSON lines, and read back from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inspector.base.errors import UsageError

SECONDS, STEPS = "s", "steps"
FORMAT = "vtdpi trace"
WRITE, HOOK = "write", "hook"
FIELDS = ("pir", "on", "sn", "nv", "ndst")
"""Of a descriptor."""
LIST_FIELDS = ("blocking_list", "blocking_lock")
"""Of a vCPU's node: the CPU on whose list it is, and the one whose lock it names."""

LATEST = 1e15
"""No trace is longer: in seconds, or steps."""
LAST_CPU, LAST_VECTOR, LAST_NUMBER = 65535, 255, (1 << 32) - 1
UNLIKE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
"""What decoding raises of a text that is none of ours."""

Value = int | tuple[int, ...] | None


@dataclass(frozen=True)
class Beginning:
    """The state of the machine when a trace began.

    Attributes:
        cpus: how many there are.
        x2apic: the form of NDST.
        vectors: Xen's notification and wakeup vectors.
        fields: by vCPU, those of its descriptor, and its place on the lists if they were followed.
    """

    cpus: int
    x2apic: bool
    vectors: tuple[int, int]
    fields: Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class TraceEvent:
    """A transition.

    Attributes:
        time: since the trace began: seconds of the host's clock, or steps of a simulated machine.
        kind: `write`, a descriptor or a node of a blocking list changed; `hook`, a CPU entered a function.
        cpu: the physical CPU that did it; None for a device's post.
        function: the function of Xen that it executes, as far as known.
        vcpu: whose descriptor changed; for a hook, the CPU's current vCPU.
        changes: field -> (before, after), by the VT-d specification's names; PIR as a tuple of vectors.
        line: of Xen's source, `vmx.c:152`, where symbols tell it.
        situation: where that vCPU stands right after, `S8`, where the trace looked (`inspector.analysis.situation`).
        actor: who did it, where that is known to be neither a CPU nor a device.
    """

    time: float
    kind: str
    cpu: int | None
    function: str | None
    vcpu: str | None
    changes: Mapping[str, tuple[Value, Value]] = field(default_factory=dict)
    actor: str | None = None
    line: str | None = None
    situation: str | None = None

    @property
    def where(self) -> str:
        """Who did it: `CPU 1`, `device`, or the actor's name."""
        return self.actor or ("device" if self.cpu is None else f"CPU {self.cpu}")

    def words(self) -> str:
        """The changes on one line: `sn 0 -> 1, nv f2 -> f3`."""
        return ", ".join(f"{name} {_shown(name, a)} -> {_shown(name, b)}" for name, (a, b) in self.changes.items())


def document(hit: TraceEvent) -> dict[str, Any]:
    """A hit as JSON."""
    changes = {name: {"before": _plain(a), "after": _plain(b)} for name, (a, b) in hit.changes.items()}
    return {
        "time": hit.time,
        "kind": hit.kind,
        "cpu": hit.cpu,
        "function": hit.function,
        "vcpu": hit.vcpu,
        "changes": changes,
        **({"line": hit.line} if hit.line else {}),
        **({"situation": hit.situation} if hit.situation else {}),
    }


def dumps(hits: Iterable[TraceEvent], unit: str, beginning: Beginning | None = None) -> str:
    """A trace as JSON lines: first one that tells the unit of time and how it began, then one a hit."""
    head = {"format": FORMAT, "unit": unit, **({"beginning": asdict(beginning)} if beginning else {})}
    return "".join(json.dumps(line) + "\n" for line in (head, *map(document, hits)))


def beginning_of(text: str, source: str) -> Beginning:
    """How a trace began. Raises UsageError if it does not tell."""
    try:
        raw = json.loads(text.partition("\n")[0])["beginning"]
        fields = {vcpu: {name: _value(name, value) for name, value in of.items()} for vcpu, of in raw["fields"].items()}
        notification, wakeup = (_number(vector, LAST_VECTOR) for vector in raw["vectors"])
        cpus, x2apic = _number(raw["cpus"], LAST_CPU + 1), raw["x2apic"]
        if type(x2apic) is not bool:
            raise TypeError("x2apic")
        return Beginning(cpus, x2apic, (notification, wakeup), fields)
    except UNLIKE:
        raise UsageError(f"{source} does not tell in what state it began: make it anew with `trace --output`") from None


def loads(text: str, source: str) -> tuple[list[TraceEvent], str]:
    """The hits and the unit of time of a trace. Raises UsageError if it is none; `source` names it in the message."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        head = json.loads(lines[0]) if lines else None
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT or head.get("unit") not in (SECONDS, STEPS):
        raise UsageError(f"{source} is no trace: expected JSON lines as `trace --output` writes them")
    hits = []
    for number, line in enumerate(lines[1:], 2):
        try:
            hits.append(_hit(json.loads(line)))
        except UNLIKE:
            raise UsageError(f"{source}, line {number}: no hit of a trace; is the file damaged?") from None
    return hits, head["unit"]


def _hit(raw: Mapping[str, Any]) -> TraceEvent:
    changes = {}
    for name, change in raw["changes"].items():
        changes[name] = (_value(name, change["before"]), _value(name, change["after"]))
    cpu, function, vcpu, line = raw["cpu"], raw["function"], raw["vcpu"], raw.get("line")
    situation = raw.get("situation")
    if not (
        type(raw["time"]) in (int, float)
        and 0 <= raw["time"] < LATEST
        and all(text is None or isinstance(text, str) for text in (function, vcpu, line, situation))
        and raw["kind"] in (WRITE, HOOK)
    ):
        raise ValueError("a field of the wrong kind")
    cpu = None if cpu is None else _number(cpu, LAST_CPU)
    return TraceEvent(raw["time"], raw["kind"], cpu, function, vcpu, changes, line=line, situation=situation)


def _value(name: str, raw: Any) -> Value:
    """A field's value, as it is in JSON. Raises ValueError if it is none."""
    if name not in FIELDS + LIST_FIELDS:
        raise ValueError(name)
    if name == "pir":
        if type(raw) is not list or len(raw) > LAST_VECTOR + 1:
            raise ValueError(name)
        return tuple(_number(vector, LAST_VECTOR) for vector in raw)
    if raw is None and name in LIST_FIELDS:
        return None
    return _number(raw, LAST_NUMBER)


def _number(raw: Any, last: int) -> int:
    if type(raw) is not int or not 0 <= raw <= last:
        raise ValueError(f"{raw!r:.40}: expected 0 to {last}")
    return raw


def _plain(value: Value) -> int | Sequence[int] | None:
    return list(value) if isinstance(value, tuple) else value


def _shown(name: str, value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{vector:02x}" for vector in value) or "none"
    if value is None:
        return "none"
    return f"{value:#x}" if value > 9 else str(value)
