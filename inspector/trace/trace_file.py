"""The JSON lines of a trace, read back."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from inspector.base import reading
from inspector.base.errors import TargetError
from inspector.base.foreign_text import one_line
from inspector.trace.trace_event import HOOK_FIELDS, Beginning, TraceEvent

LATEST = 10**15
"""No trace is longer: in seconds, or steps."""
LARGEST = 512 * reading.MIB
"""Bytes of a file: more is no trace."""
UNLIKE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises of a text that is none of ours."""

T = TypeVar("T")

Time = Annotated[int, Meta(ge=0, lt=LATEST)] | Annotated[float, Meta(ge=0, lt=LATEST)]
Cpu = Annotated[int, Meta(ge=0, le=65535)]
Vector = Annotated[int, Meta(ge=0, le=255)]
Vectors = Annotated[tuple[Vector, ...], Meta(max_length=256)]
Number = Annotated[int, Meta(ge=0, lt=1 << 32)]
Function = Annotated[str, Meta(max_length=256)]


class _Fields(Struct, forbid_unknown_fields=True):
    """Of a descriptor and its node, what a file tells."""

    pir: Vectors | UnsetType = UNSET
    on: Number | UnsetType = UNSET
    sn: Number | UnsetType = UNSET
    nv: Number | UnsetType = UNSET
    ndst: Number | UnsetType = UNSET
    blocking_list: Number | UnsetType | None = UNSET
    blocking_lock: Number | UnsetType | None = UNSET


class _Hooks(Struct, forbid_unknown_fields=True, rename="pi_ops.{}".format):
    """Of a domain, what a file tells."""

    flags: Number | UnsetType = UNSET
    vcpu_block: Function | UnsetType | None = UNSET
    switch_from: Function | UnsetType | None = UNSET
    switch_to: Function | UnsetType | None = UNSET
    do_resume: Function | UnsetType | None = UNSET


class _Beginning(Struct):
    cpus: Annotated[int, Meta(ge=0, le=65536)]
    x2apic: bool
    vectors: tuple[Vector, Vector]
    fields: dict[str, _Fields]
    domains: dict[str, _Hooks] = {}


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
    """As `_Fields` and `_Hooks`."""

    pir: _Change[Vectors] | UnsetType = UNSET
    on: _Change[Number] | UnsetType = UNSET
    sn: _Change[Number] | UnsetType = UNSET
    nv: _Change[Number] | UnsetType = UNSET
    ndst: _Change[Number] | UnsetType = UNSET
    blocking_list: _Change[Number | None] | UnsetType = UNSET
    blocking_lock: _Change[Number | None] | UnsetType = UNSET
    flags: _Change[Number] | UnsetType = msgspec.field(default=UNSET, name=HOOK_FIELDS[0])
    vcpu_block: _Change[Function | None] | UnsetType = msgspec.field(default=UNSET, name=HOOK_FIELDS[1])
    switch_from: _Change[Function | None] | UnsetType = msgspec.field(default=UNSET, name=HOOK_FIELDS[2])
    switch_to: _Change[Function | None] | UnsetType = msgspec.field(default=UNSET, name=HOOK_FIELDS[3])
    do_resume: _Change[Function | None] | UnsetType = msgspec.field(default=UNSET, name=HOOK_FIELDS[4])


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
    domain: str | None = None
    argument: str | None = None
    callers: tuple[str, ...] = ()


def read(path: str) -> str:
    """The text of a trace in a file. Raises TargetError if it cannot be read."""
    return reading.text(path, LARGEST, "replace")


def beginning_of(text: str, source: str) -> Beginning:
    """How a trace began. Raises TargetError if it does not tell."""
    try:
        told = msgspec.json.decode(text.partition("\n")[0], type=_HeadWithBeginning).beginning
    except UNLIKE:
        raise TargetError(
            f"{source} does not tell in what state it began: make it anew with `trace --output`"
        ) from None
    fields = {vcpu: _told(of) for vcpu, of in told.fields.items()}
    domains = {domain: _told(of) for domain, of in told.domains.items()}
    return Beginning(told.cpus, told.x2apic, told.vectors, fields, domains)


def loads(text: str, source: str) -> tuple[list[TraceEvent], str]:
    """The hits and the unit of time of a trace. Raises TargetError if it is none; `source` names it in the message."""
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        head = msgspec.json.decode(lines[0] if lines else "", type=_Head)
    except UNLIKE:
        raise TargetError(f"{source} is no trace: expected JSON lines as `trace --output` writes them") from None
    hits, read = [], msgspec.json.Decoder(_Hit).decode
    for number, line in enumerate(lines[1:], 2):
        try:
            hits.append(_event(read(line)))
        except UNLIKE as error:
            why = one_line(str(error))
            raise TargetError(
                f"{source}, line {number}: no hit of a trace ({why:.100}); is the file damaged?"
            ) from None
    return hits, head.unit


def _event(hit: _Hit) -> TraceEvent:
    changes = {name: (change.before, change.after) for name, change in _told(hit.changes).items()}
    where: dict[str, Any] = {"line": hit.line, "situation": hit.situation, "domain": hit.domain}
    where |= {"argument": hit.argument, "callers": hit.callers}
    return TraceEvent(hit.time, hit.kind, hit.cpu, hit.function, hit.vcpu, changes, **where)


def _told(fields: Struct) -> dict[str, Any]:
    """Those of the fields that are there, by name."""
    names = zip(fields.__struct_encode_fields__, fields.__struct_fields__, strict=True)
    return {name: value for name, field in names if (value := getattr(fields, field)) is not UNSET}
