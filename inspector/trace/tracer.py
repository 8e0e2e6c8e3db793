"""Let a machine run from transition to transition, and note each."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from inspector.base.errors import UNREADABLE, TargetError
from inspector.kernels.descriptors import decode_descriptors
from inspector.model.snapshot import Descriptor, Snapshot, Vcpu
from inspector.targets.watchpoint import StopEvent, WatchesLists, Watchpoint, Write
from inspector.trace.functions import Functions
from inspector.trace.lists import Lists, Membership, with_word
from inspector.trace.pi_ops import PiOps
from inspector.trace.situations import Situate, Situations
from inspector.trace.trace_event import FIELDS, HOOK, LIST_FIELDS, WRITE, Beginning, TraceEvent, Value
from inspector.xen.functions import whereabouts
from inspector.xen.percpu import STACK_SIZE
from inspector.xen.xen import Xen
from structs.frozen import frozen
from structs.pi_desc import PI_DESC
from structs.xen import variants

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection

SLICE = 0.25
Changes = dict[str, tuple[Value, Value]]
POSTS = ("vmx_deliver_posted_intr", "deliver_posted_intr")


@frozen
class Trace:
    """What was seen, in its order; the unit of its times; why it ended, in words; how it began; and what was not
    watched for want of tripwires."""

    hits: Sequence[TraceEvent]
    unit: Literal["s", "steps"]
    ended: str
    beginning: Beginning | None = None
    left_out: Sequence[str] = ()


def trace(
    inspection: Inspection,
    target: Watchpoint,
    vcpus: Sequence[Vcpu],
    hooks: Mapping[str, int],
    count: int,
    seconds: float,
    situate: Situate | None = None,
    still: float = math.inf,
    callers: bool = False,
) -> Generator[TraceEvent, None, Trace]:
    """Follow the descriptors of `vcpus`, or the functions `hooks` (name -> address) if there are any.

    Each hit comes at once; what is returned is all of them. The machine stands still before and after; between, it
    runs and stops at each transition. Ctrl-C ends it.

    Args:
        inspection: of the machine as it stands.
        target: the machine.
        count, seconds, still: after how many hits, after how long, and after how long without one, to end.
        callers: tell who called the functions that are entered.
        situate: tells where the vCPU of a store stands; asked where the lists are followed.

    Raises:
        TargetError: the machine was lost, or stopped for another reason than a tripwire.
    """
    assert inspection.xen
    named = {each.address: f"d{each.domain}" for each in inspection.snapshot.domains if each.address}
    tracer = _Tracer(
        *(inspection.xen, vcpus, {vcpu.address: vcpu.name for vcpu in inspection.snapshot.vcpus}), named, callers
    )
    if isinstance(target, WatchesLists) and not hooks:
        tracer.follow(inspection.snapshot, target.most_writes - len(vcpus), situate)
    beginning = tracer.beginning(inspection.snapshot)
    hits: list[TraceEvent] = []
    last = time.monotonic()
    deadline = last + seconds
    ended = "all that were asked for"
    try:
        target.arm([] if hooks else tracer.writes(vcpus), hooks)
        while len(hits) < count:
            now = time.monotonic()
            if now >= deadline:
                ended = f"{seconds:g} seconds are over"
                break
            if now - last >= still:
                ended = f"nothing has changed for {still:g} seconds"
                break
            stop_event = target.stop_event(min(deadline - now, SLICE))
            for hit in tracer.hits(stop_event) if stop_event else ():
                last = time.monotonic()
                hits.append(hit)
                yield hit
    except KeyboardInterrupt:
        ended = "interrupted"
    except TargetError as error:
        if not hits:
            raise
        ended = str(error)
    finally:
        target.disarm()
    return Trace(hits, target.unit, ended, beginning, tracer.left_out)


def traced(hits: Generator[TraceEvent, None, Trace]) -> Trace:
    """All of a trace, at its end."""
    while True:
        try:
            next(hits)
        except StopIteration as end:
            found: Trace = end.value
            return found


class _Tracer:
    """What is known of the machine between two hits."""

    def __init__(
        self,
        xen: Xen,
        vcpus: Sequence[Vcpu],
        names: Mapping[int, str],
        domains: Mapping[int, str] | None = None,
        callers: bool = False,
    ) -> None:
        self._callers = callers
        self._domains = domains or {}
        self._xen = xen
        self._functions = Functions(xen.profile)
        self._names = names
        self._known = {vcpu.name: vcpu.pi for vcpu in vcpus if vcpu.pi}
        self._owners = {pi.address: name for name, pi in self._known.items()}
        self._raw: dict[str, bytes] = {}
        path = variants.vmx(xen.profile)
        self._offset = xen.profile.offset("vcpu", f"{path}.pi_desc") if path else 0
        self.lists: Lists | None = None
        self.situations: Situations | None = None
        self.pi_ops: PiOps | None = None
        self.left_out: list[str] = []

    def follow(self, snapshot: Snapshot, room: int, situate: Situate | None) -> None:
        """Follow besides the descriptors what so many tripwires suffice for: the lists, all or none; then hooks of
        domains, those of the traced vCPUs first."""
        # A list is followed from node to node, also those of vCPUs that nobody asked for.
        lists = Lists(self._xen, snapshot.lists, [vcpu for vcpu in snapshot.vcpus if vcpu.pi])
        if len(lists.writes) <= room:
            self.lists = lists
            self.situations = Situations(self._xen, snapshot, situate) if situate else None
            room -= len(lists.writes)
        else:
            self.left_out.append("the blocking lists")
        pi_ops = PiOps(self._xen, snapshot.domains)
        traced = {snapshot.by_name[name].domain for name in self._known}
        names = sorted(pi_ops.writes, key=lambda name: int(name[1:]) not in traced)
        room = max(room, 0)
        pi_ops.follow(names[:room])
        self.pi_ops = pi_ops
        self.left_out += [f"the posting hooks of {name}" for name in names[room:]]

    def beginning(self, snapshot: Snapshot) -> Beginning:
        """The state in which the trace begins."""
        places = self.lists.known if self.lists else {}
        fields: dict[str, dict[str, Value]] = {}
        for name, pi in self._known.items():
            fields[name] = {field: getattr(pi, field) for field in FIELDS}
            fields[name] |= dict(zip(LIST_FIELDS, places[name], strict=True)) if name in places else {}
        vectors = snapshot.posted_intr_vector or 0, snapshot.pi_wakeup_vector or 0
        domains = {name: dict(of) for name, of in self.pi_ops.known.items()} if self.pi_ops else {}
        return Beginning(len(snapshot.cpus), bool(snapshot.x2apic), vectors, fields, domains)

    def writes(self, vcpus: Sequence[Vcpu]) -> list[Write]:
        """What to watch: the descriptors, and the lists and hooks as far as they are followed."""
        self._changed(self._known)
        found = [self._place(vcpu) for vcpu in vcpus]
        found += self.lists.writes if self.lists else []
        return found + (list(self.pi_ops.writes.values()) if self.pi_ops else [])

    def _place(self, vcpu: Vcpu) -> Write:
        return Write(vcpu.address + self._offset, self._known[vcpu.name].address, PI_DESC.size)

    def hits(self, stop_event: StopEvent) -> list[TraceEvent]:
        """The transitions that a stop shows."""
        cpu, current = self._whose(stop_event)
        rip = stop_event.registers.get("rip")
        function = stop_event.function or (self._functions.at(rip) if rip else None)
        if stop_event.kind == WRITE and self.pi_ops and stop_event.address is not None:
            domain = self.pi_ops.owner(stop_event.address)
            if domain:
                now = self.pi_ops.changed(domain, stop_event.address, stop_event.word)
                common: dict[str, Any] = {"line": stop_event.line, "domain": domain}
                return [TraceEvent(stop_event.time, WRITE, cpu, function, None, now, **common)] if now else []
        if stop_event.kind == WRITE:
            found = self._stored(stop_event)
            for name, (before, after) in self._moved(stop_event).items():
                pairs = zip(LIST_FIELDS, before, after, strict=True)
                found.setdefault(name, {}).update({field: (a, b) for field, a, b in pairs if a != b})
            return [self._write(stop_event, cpu, function, name, changes) for name, changes in found.items()]
        changes = self._changed([current]).get(current, {}) if current in self._known else {}
        way = whereabouts(self._xen, stop_event.registers).backtrace if self._callers else ()
        hit = TraceEvent(stop_event.time, HOOK, cpu, function, current, changes, line=stop_event.line)
        return [replace(hit, argument=self._argument(stop_event), callers=way)]

    def _argument(self, stop_event: StopEvent) -> str | None:
        """What the function that was entered is called with first (x86-64 ABI: rdi), by its name if it has one."""
        value = stop_event.registers.get("rdi")
        if value is None:
            return None
        return self._names.get(value) or self._domains.get(value) or f"{value:#x}"

    def _write(
        self, stop_event: StopEvent, cpu: int | None, function: str | None, name: str, changes: Changes
    ) -> TraceEvent:
        if stop_event.function is None and _by_device(changes, function):
            cpu = function = None
        where = None
        if self.situations and self.lists and name in self.lists.known:
            where = self.situations.at(name, self._known[name], self.lists.known[name])
        return TraceEvent(stop_event.time, WRITE, cpu, function, name, changes, line=stop_event.line, situation=where)

    def _changed(self, names: Iterable[str]) -> dict[str, Changes]:
        """What changed in the descriptors of these vCPUs since they were last read."""
        wanted = {name: self._known[name].address for name in names}
        parts = self._xen.memory.target.read_parts([(place, PI_DESC.size) for place in wanted.values()])
        found = {name: self._differs(name, raw) for name, raw in zip(wanted, parts, strict=True) if raw is not None}
        return {name: changes for name, changes in found.items() if changes}

    def _differs(self, name: str, raw: bytes) -> Changes:
        """What changed if a descriptor is now this."""
        now = decode_descriptors([(self._known[name].address, raw)])[0]
        changes = _differences(self._known[name], now)
        self._known[name], self._raw[name] = now, raw
        return changes

    def _stored(self, stop_event: StopEvent) -> dict[str, Changes]:
        """What this store changed in the descriptors: all that changed, unless the target knows where it was."""
        if stop_event.address is None:
            return self._changed(self._known)
        name = self._owners.get(stop_event.address & -PI_DESC.size)
        if name is None:
            return {}
        if stop_event.word is None:
            return self._changed([name])
        raw = with_word(self._raw[name], stop_event.address % PI_DESC.size, stop_event.word)
        return {name: changes} if (changes := self._differs(name, raw)) else {}

    def _moved(self, stop_event: StopEvent) -> Mapping[str, tuple[Membership, Membership]]:
        """Which nodes are elsewhere on the lists."""
        in_descriptor = stop_event.address is not None and stop_event.address & -PI_DESC.size in self._owners
        if in_descriptor or not self.lists:
            return {}
        moved = self.lists.changed(stop_event.address, stop_event.word)
        return {name: places for name, places in moved.items() if name in self._known}

    def _whose(self, stop_event: StopEvent) -> tuple[int | None, str | None]:
        """The CPU, by Xen's number if that can be read, and the vCPU that it runs."""
        rsp = stop_event.registers.get("rsp")
        if stop_event.cpu is None or not rsp:
            return stop_event.cpu, None
        try:
            top = (rsp | STACK_SIZE - 1) + 1 - self._xen.profile.size("cpu_info")
            info = self._xen.structs("cpu_info", [top], "processor_id", "current_vcpu")[0]
        except UNREADABLE:
            return stop_event.cpu, None
        if not info:
            return stop_event.cpu, None
        return info["processor_id"], self._names.get(info["current_vcpu"])


def _differences(before: Descriptor, after: Descriptor) -> Changes:
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in FIELDS)
    return {name: (old, new) for name, old, new in pairs if old != new}


def _by_device(changes: Mapping[str, tuple[Value, Value]], function: str | None) -> bool:
    """Whether no CPU did this: only a device, and Xen's function for software's posts, add vectors to PIR or set ON."""
    old, new = changes.get("pir", ((), ()))
    added = isinstance(old, tuple) and isinstance(new, tuple) and not set(new) <= set(old)
    return (added or changes.get("on") == (0, 1)) and (function or "").partition("+")[0] not in POSTS
