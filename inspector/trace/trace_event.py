"""One transition: when, who, where, and what changed. As JSON lines, which `trace_file` reads back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field
from typing import TYPE_CHECKING, Final, Literal

from inspector.targets.watchpoint import SECONDS as SECONDS
from inspector.targets.watchpoint import STEPS as STEPS
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model.documents import BeforeAfter, Hit

FORMAT = "vtdpi trace"
WRITE: Final = "write"
HOOK: Final = "hook"
FIELDS = ("pir", "on", "sn", "nv", "ndst")
"""Of a descriptor."""
LIST_FIELDS = ("blocking_list", "blocking_lock")
"""Of a vCPU's node: the CPU on whose list it is, and the one whose lock it names."""
HOOK_FIELDS = tuple(f"pi_ops.{name}" for name in ("flags", "vcpu_block", "switch_from", "switch_to", "do_resume"))
"""Of a domain: its posting hooks, flags and functions; a build of Xen has those of its version."""

Value = int | tuple[int, ...] | str | None


@frozen
class Beginning:
    """The state of the machine when a trace began.

    Attributes:
        cpus: how many there are.
        x2apic: the form of NDST.
        vectors: Xen's notification and wakeup vectors.
        fields: by vCPU, those of its descriptor, and its place on the lists if they were followed.
        domains: by domain, `d1`, its posting hooks if they were followed.
    """

    cpus: int
    x2apic: bool
    vectors: tuple[int, int]
    fields: Mapping[str, Mapping[str, Value]]
    domains: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)


@frozen
class TraceEvent:
    """A transition.

    Attributes:
        time: since the trace began: seconds of the host's clock, or steps of a simulated machine.
        kind: `write`, a descriptor, a node of a blocking list or a domain's hooks changed; `hook`, a CPU entered a
            function.
        cpu: the physical CPU that did it; None for a device's post.
        function: the function of Xen that it executes, as far as known.
        vcpu: whose descriptor changed; for a hook, the CPU's current vCPU.
        changes: field -> (before, after), by the VT-d specification's names; PIR as a tuple of vectors, a domain's
            hooks as the functions' names.
        line: of Xen's source, `vmx.c:152`, where symbols tell it.
        situation: where that vCPU stands right after, `S8`, where the trace looked (`inspector.analysis.situation`).
        actor: who did it, where that is known to be neither a CPU nor a device.
        domain: whose posting hooks changed, `d1`.
        argument: what a function that was entered is called with, first: a vCPU, `d1v0`, a domain, `d1`, or a number.
        callers: the functions that led there, the innermost first, if they were asked for.
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
    domain: str | None = None
    argument: str | None = None
    callers: tuple[str, ...] = ()

    @property
    def whose(self) -> str | None:
        """The vCPU or the domain."""
        return self.vcpu or self.domain

    @property
    def where(self) -> str:
        """Who did it: `CPU 1`, `device`, or the actor's name."""
        return self.actor or ("device" if self.cpu is None else f"CPU {self.cpu}")

    def words(self) -> str:
        """The changes on one line: `sn 0 -> 1, nv 0xf2 -> 0xf3`."""
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
    if hit.domain:
        made["domain"] = hit.domain
    if hit.argument:
        made["argument"] = hit.argument
    if hit.callers:
        made["callers"] = list(hit.callers)
    return made


def dumps(hits: Iterable[TraceEvent], unit: str, beginning: Beginning | None = None) -> str:
    """A trace as JSON lines: first one that tells the unit of time and how it began, then one a hit."""
    head = {"format": FORMAT, "unit": unit, **({"beginning": asdict(beginning)} if beginning else {})}
    return "".join(json.dumps(line) + "\n" for line in (head, *map(document, hits)))


def _plain(value: Value) -> int | list[int] | str | None:
    return list(value) if isinstance(value, tuple) else value


def _shown(name: str, value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{vector:#04x}" for vector in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    return f"{value:#x}" if value > 9 else str(value)
