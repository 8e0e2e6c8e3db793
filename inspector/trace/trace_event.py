"""One transition: when, who, where, and what changed. As JSON lines, and read back from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from inspector.base.errors import UsageError
from inspector.base.foreign_text import one_line
from inspector.targets.watchpoint import SECONDS as SECONDS
from inspector.targets.watchpoint import STEPS as STEPS

if TYPE_CHECKING:
    from inspector.model.documents import BeforeAfter, Hit

FORMAT = "vtdpi trace"
WRITE: Final = "write"
HOOK: Final = "hook"
FIELDS = ("pir", "on", "sn", "nv", "ndst")
"""Of a descriptor."""
LIST_FIELDS = ("blocking_list", "blocking_lock")
"""Of a vCPU's node: the CPU on whose list it is, and the one whose lock it names."""

LATEST = 10**15
"""No trace is longer: in seconds, or steps."""
UNLIKE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises of a text that is none of ours."""

Value = int | tuple[int, ...] | None
T = TypeVar("T")

Time = Annotated[int, Meta(ge=0, lt=LATEST)] | Annotated[float, Meta(ge=0, lt=LATEST)]
Cpu = Annotated[int, Meta(ge=0, le=65535)]
Vector = Annotated[int, Meta(ge=0, le=255)]
Vectors = Annotated[tuple[Vector, ...], Meta(max_length=256)]
Number = Annotated[int, Meta(ge=0, lt=1 << 32)]


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
    kind: Literal["write", "hook"]
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


def document(hit: TraceEvent) -> Hit:
    """A hit as JSON."""
    changes: dict[str, BeforeAfter] = {
        name: {"before": _plain(a), "after": _plain(b)} for name, (a, b) in hit.changes.items()
    }
    made: Hit = {
        "time": hit.time,
        "kind": hit.kind,
        "cpu": hit.cpu,
        "function": hit.function,
        "vcpu": hit.vcpu,
        "changes": changes,
    }
    if hit.line:
        made["line"] = hit.line
    if hit.situation:
        made["situation"] = hit.situation
    return made


def dumps(hits: Iterable[TraceEvent], unit: str, beginning: Beginning | None = None) -> str:
    """A trace as JSON lines: first one that tells the unit of time and how it began, then one a hit."""
    head = {"format": FORMAT, "unit": unit, **({"beginning": asdict(beginning)} if beginning else {})}
    return "".join(json.dumps(line) + "\n" for line in (head, *map(document, hits)))


class _Fields(Struct, forbid_unknown_fields=True):
    """Of a descriptor and its node, what a file tells."""

    pir: Vectors | UnsetType = UNSET
    on: Number | UnsetType = UNSET
    sn: Number | UnsetType = UNSET
    nv: Number | UnsetType = UNSET
    ndst: Number | UnsetType = UNSET
    blocking_list: Number | UnsetType | None = UNSET
    blocking_lock: Number | UnsetType | None = UNSET


class _Beginning(Struct):
    cpus: Annotated[int, Meta(ge=0, le=65536)]
    x2apic: bool
    vectors: tuple[Vector, Vector]
    fields: dict[str, _Fields]


class _Head(Struct):
    """A file's first line."""

    format: Literal["vtdpi trace"]
    unit: Literal["s", "steps"]


class _HeadWithBeginning(Struct):
    beginning: _Beginning


class _Change(Struct, Generic[T]):
    before: T
    after: T


class _Changes(Struct, forbid_unknown_fields=True):
    """As `_Fields`."""

    pir: _Change[Vectors] | UnsetType = UNSET
    on: _Change[Number] | UnsetType = UNSET
    sn: _Change[Number] | UnsetType = UNSET
    nv: _Change[Number] | UnsetType = UNSET
    ndst: _Change[Number] | UnsetType = UNSET
    blocking_list: _Change[Number | None] | UnsetType = UNSET
    blocking_lock: _Change[Number | None] | UnsetType = UNSET


class _Hit(Struct):
    """Each of its other lines."""

    time: Time
    kind: Literal["write", "hook"]
    cpu: Cpu | None
    function: str | None
    vcpu: str | None
    changes: _Changes
    line: str | None = None
    situation: str | None = None


def beginning_of(text: str, source: str) -> Beginning:
    """How a trace began. Raises UsageError if it does not tell."""
    try:
        told = msgspec.json.decode(text.partition("\n")[0], type=_HeadWithBeginning).beginning
    except UNLIKE:
        raise UsageError(f"{source} does not tell in what state it began: make it anew with `trace --output`") from None
    return Beginning(told.cpus, told.x2apic, told.vectors, {vcpu: _told(of) for vcpu, of in told.fields.items()})


def loads(text: str, source: str) -> tuple[list[TraceEvent], str]:
    """The hits and the unit of time of a trace. Raises UsageError if it is none; `source` names it in the message."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        head = msgspec.json.decode(lines[0] if lines else "", type=_Head)
    except UNLIKE:
        raise UsageError(f"{source} is no trace: expected JSON lines as `trace --output` writes them") from None
    hits, read = [], msgspec.json.Decoder(_Hit).decode
    for number, line in enumerate(lines[1:], 2):
        try:
            hits.append(_event(read(line)))
        except UNLIKE as error:
            why = one_line(str(error))
            raise UsageError(f"{source}, line {number}: no hit of a trace ({why:.100}); is the file damaged?") from None
    return hits, head.unit


def _event(hit: _Hit) -> TraceEvent:
    changes = {name: (change.before, change.after) for name, change in _told(hit.changes).items()}
    where = {"line": hit.line, "situation": hit.situation}
    return TraceEvent(hit.time, hit.kind, hit.cpu, hit.function, hit.vcpu, changes, **where)


def _told(fields: Struct) -> dict[str, Any]:
    """Those of the fields that are there, by name."""
    return {name: value for name in fields.__struct_fields__ if (value := getattr(fields, name)) is not UNSET}


def _plain(value: Value) -> int | list[int] | None:
    return list(value) if isinstance(value, tuple) else value


def _shown(name: str, value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{vector:02x}" for vector in value) or "none"
    if value is None:
        return "none"
    return f"{value:#x}" if value > 9 else str(value)
