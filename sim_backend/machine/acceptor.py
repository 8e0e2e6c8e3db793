"""Whether the logic can do what a real Xen did: each change that was seen, from the state that was seen before it.

Every change of a descriptor or of a vCPU's place on the blocking lists is one that some step of Xen's procedure of that
name makes on a machine in that state, and on each CPU the steps of one call follow each other. What a trace does not
show (whether a vCPU is blocked, what the EOI exit map is) may be as it needs to be. A call whose stores change nothing
is not seen; one that has begun may be seen to its end, or the rest of it changes nothing.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sim_backend.layout.config import DomainConfig, LayoutConfig
from sim_backend.layout.layout import Layout
from sim_backend.logic.guests import Domains
from sim_backend.logic.pi import PI_CSW_FROM, PI_CSW_TO
from sim_backend.logic.pi.run_procedure import alone
from sim_backend.logic.program import PC, PROCEDURE, PROCEDURES, Actor, ActorId, ActorKind
from sim_backend.logic.services import Services
from sim_backend.logic.versions import CURRENT, Version
from sim_backend.logic.vtd_engine import posted_interrupt_processing
from sim_backend.memory.errors import SimError
from structs.frozen import frozen
from structs.pi_desc import PI_DESC

DOMAIN = 1
AT_ONCE = {posted_interrupt_processing.name}
"""What a processor does within one instruction, so that only what comes of all its steps is seen."""
LONGEST = 200
"""Steps of one call that change nothing before it is given up."""
CONTROL = ("on", "sn", "nv", "ndst")
Value = int | tuple[int, ...] | str | None
Changes = Mapping[str, tuple[Value, Value]]

HIDDEN = tuple(itertools.product((False, True), (False, True)))
"""What a trace does not show: whether the vCPU is blocked, and whether its EOI exit map has changed."""

PROCEDURES_OF = {
    "vmx_vcpu_block": "vmx_vcpu_block",
    "vmx_pi_switch_from": "vmx_pi_switch_from",
    "vmx_pi_switch_to": "vmx_pi_switch_to",
    "vmx_pi_unblock_vcpu": "vmx_pi_unblock_vcpu",
    "vmx_sync_pir_to_irr": "vmx_sync_pir_to_irr",
    "vmx_deliver_posted_intr": "vmx_deliver_posted_intr",
    "pi_wakeup_interrupt": "pi_wakeup_interrupt",
    posted_interrupt_processing.name: posted_interrupt_processing.name,
}
"""The procedures that change what is watched, by the function in Xen's source that holds their stores."""


@frozen
class Seen:
    """A change that was seen.

    Attributes:
        cpu: the CPU.
        function: of Xen's source.
        vcpu: number of the vCPU.
        changes: field -> (before, after): those of a descriptor, `blocking_list` and `blocking_lock`.
    """

    cpu: int
    function: str
    vcpu: int
    changes: Changes


@dataclass
class Verdict:
    """What came of a trace.

    Attributes:
        accepted: how many changes the logic can make.
        gaps: how many began with another value than the last one left: two CPUs stored at once in between.
        refused: those that it cannot, with their place in the trace, and why.
        steps: how often each step was seen, by procedure and words.
    """

    accepted: int = 0
    gaps: int = 0
    refused: list[tuple[int, Seen, str]] = field(default_factory=list)
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass
class Call:
    """A call that has begun on a CPU."""

    procedure: str
    vcpu: int
    actor: Actor
    may_end: bool = False
    """Whether the rest of it changed nothing, had it come to its end in the state that its last change left, or in one
    that others have made since."""


def steps_of_interest() -> list[tuple[str, str]]:
    """All steps of the procedures that are looked at."""
    names = dict.fromkeys(PROCEDURES_OF.values())
    return [(name, step.action) for name in names for step in PROCEDURES[name].steps]


class _NoLocalApic(Services):
    """What a local APIC holds is in no trace."""

    def end_of_interrupt(self, cpu: int) -> None:
        """As Services."""


class _NoVirtualApic(Domains):
    """Nor what a virtual one does."""

    def add_to_irr(self, v: int, word: int, bits: int) -> None:
        """As Guests."""


class Acceptor:
    """The logic on a machine with so many CPUs and vCPUs, brought into each state that was seen.

    Args:
        vectors: Xen's notification and wakeup vectors.
        state: by vCPU's number, the fields before the first change.
    """

    def __init__(
        self,
        cpus: int,
        state: Mapping[int, Mapping[str, Value]],
        vectors: tuple[int, int],
        x2apic: bool = True,
        version: Version = CURRENT,
    ) -> None:
        count = max(state, default=0) + 1
        notify, wakeup = vectors
        config = LayoutConfig(
            cpus=cpus,
            x2apic=x2apic,
            domains=(DomainConfig(0, 1, hvm=False), DomainConfig(DOMAIN, count)),
            posted_intr_vector=notify,
            pi_wakeup_vector=wakeup,
        )
        self._layout = Layout(config)
        self._world, _ = alone(self._layout, version, lambda: 0)
        self._world.services, self._world.guests = _NoLocalApic(self._world), _NoVirtualApic(self._world)
        memory, o = self._layout.memory, self._world.o
        memory.set_u32(self._layout.domain(DOMAIN) + o.pi_flags, PI_CSW_FROM | PI_CSW_TO)
        memory.set_u64(self._layout.domain(DOMAIN) + o.block_hook, self._world.block_function)
        self._vcpus = [self._layout.vcpu(DOMAIN, number) for number in range(count)]
        self._numbers = {vcpu: number for number, vcpu in enumerate(self._vcpus)}
        self._cpus = range(cpus)
        self._now: dict[int, dict[str, Value]] = {number: dict(state.get(number, {})) for number in range(count)}
        self._order: dict[int, list[int]] = {cpu: [] for cpu in self._cpus}
        for number, fields in self._now.items():
            if (cpu := _number(fields.get("blocking_list"))) is not None:
                self._order[cpu].append(number)
        self._calls: list[Call] = []
        self.verdict = Verdict()

    def see(self, seen: Sequence[Seen]) -> Verdict:
        """Hold a trace against the logic."""
        for place, each in enumerate(seen):
            self._catch_up(each)
            self._last: Call | None = None
            why = self._accepts(each)
            if why:
                self.verdict.refused.append((place, each, why))
            else:
                self.verdict.accepted += 1
            self._apply(each)
            if self._last:
                self._last.may_end = False
            for call in self._calls:
                # It may have gone on unseen in any state since its last change.
                call.may_end = call.may_end or self._can_end(call)
        return self.verdict

    def _catch_up(self, seen: Seen) -> None:
        for name, (before, _) in seen.changes.items():
            if self._now[seen.vcpu].get(name, before) != before:
                self.verdict.gaps += 1
                self._apply(Seen(seen.cpu, "", seen.vcpu, {name: (None, before)}))

    def _accepts(self, seen: Seen) -> str:
        """Why the logic cannot do this; empty if it can."""
        if seen.function not in PROCEDURES_OF:
            return f"the logic has no {seen.function}, or it changes nothing that is watched"
        name = PROCEDURES_OF[seen.function]
        begun = [call for call in self._calls if call.procedure == name and call.actor.cpu == seen.cpu]
        for call in reversed(begun):
            if call.vcpu in (seen.vcpu, -1):
                for hidden in HIDDEN:
                    if self._does(call.actor, seen, hidden, commit=call):
                        return ""
        for call in begun:
            if not call.may_end:
                return f"{name} had more to do on CPU {seen.cpu} than it was seen to do"
            self._calls.remove(call)
        for hidden in HIDDEN:
            fresh = self._fresh(name, seen)
            if self._does(fresh.actor, seen, hidden, commit=fresh):
                self._calls.append(fresh)
                return ""
        return f"no step of {name} does this from the state before"

    def _can_end(self, call: Call) -> bool:
        return any(self._ends(call, hidden) for hidden in HIDDEN)

    def _fresh(self, name: str, seen: Seen) -> Call:
        actor = _actor(seen.cpu)
        procedure = PROCEDURES[name]
        vcpu = self._vcpus[seen.vcpu]
        if name == "pi_wakeup_interrupt":
            actor.in_irq, actor.irqs = 1, False
            actor.call(procedure)
            return Call(name, -1, actor)
        if name == "vmx_deliver_posted_intr":
            before, after = seen.changes.get("pir", ((), ()))
            new = set(_vectors(after)) - set(_vectors(before))
            actor.call(procedure, vcpu, min(new, default=0))
        else:
            actor.call(procedure, vcpu)
        return Call(name, seen.vcpu, actor)

    def _does(self, actor: Actor, seen: Seen, hidden: tuple[bool, bool], commit: Call) -> bool:
        """Whether the actor's next change is the one that was seen. If so it has made it."""
        mine = _copy(actor)
        self._prepare(seen.cpu, hidden)
        done: list[tuple[str, str]] = []
        was, before = self._raw(), self._fields()
        for _ in range(LONGEST):
            if not mine.stack:
                return False
            step = _step(mine)
            try:
                if not mine.advance(self._world):
                    return False
            except SimError:
                return False
            done += [step] if step else []
            if self._raw() == was or (mine.stack and commit.procedure in AT_ONCE):
                continue
            changes = {
                (number, name): (old, new)
                for number, fields in self._fields().items()
                for name, new in fields.items()
                if new != (old := before[number][name])
            }
            if not changes:
                was = self._raw()
                continue
            if changes != {(seen.vcpu, name): change for name, change in seen.changes.items()}:
                return False
            commit.actor, self._last = mine, commit
            self.verdict.steps.update(done)
            return True
        return False

    def _ends(self, call: Call, hidden: tuple[bool, bool]) -> bool:
        """Whether a call that has begun can end without changing anything more."""
        mine = _copy(call.actor)
        self._prepare(mine.cpu, hidden)
        was = self._raw()
        for _ in range(LONGEST):
            if not mine.stack:
                return True
            try:
                if not mine.advance(self._world) or self._raw() != was:
                    return False
            except SimError:
                return False
        return False

    def _apply(self, seen: Seen) -> None:
        """What was seen is so from here on, whether the logic can do it or not."""
        for name, (_, after) in seen.changes.items():
            if name == "blocking_list":
                for members in self._order.values():
                    if seen.vcpu in members:
                        members.remove(seen.vcpu)
                if isinstance(after, int):
                    self._order[after].append(seen.vcpu)
            self._now[seen.vcpu][name] = after

    def _prepare(self, cpu: int, hidden: tuple[bool, bool]) -> None:
        """Bring memory into the state before the change, all locks free."""
        memory, o, layout = self._layout.memory, self._world.o, self._layout
        blocked, eoi_changed = hidden
        for number, vcpu in enumerate(self._vcpus):
            fields = self._now[number]
            whole = sum(1 << vector for vector in _vectors(fields.get("pir")))
            for name in CONTROL:
                whole |= (_number(fields.get(name)) or 0) << PI_DESC[name].low
            memory.write(vcpu + o.pi_desc, whole.to_bytes(PI_DESC.size, "little"))
            memory.set_u32(vcpu + o.pause_flags, int(blocked))
            memory.set_u64(vcpu + o.eoi_exitmap_changed, int(eoi_changed))
            memory.set_u32(vcpu + o.processor, cpu)
            lock = _number(fields.get("blocking_lock"))
            place = 0 if lock is None else layout.virtual(self._world.blocking_lock(lock))
            memory.set_u64(vcpu + o.node_lock, place)
        for each, members in self._order.items():
            memory.set_u64(self._world.blocking_lock(each), 0)
            head = self._world.blocking_list(each)
            ring = [head, *(self._vcpus[number] + o.node for number in members), head]
            for first, second in itertools.pairwise(ring):
                memory.set_u64(first + o.list_next, layout.virtual(second))
                memory.set_u64(second + o.list_prev, layout.virtual(first))

    def _raw(self) -> list[bytes]:
        """All memory that a trace shows."""
        read, o = self._layout.memory.read, self._world.o
        parts = [read(vcpu + o.pi_desc, PI_DESC.size) + read(vcpu + o.node_lock, 8) for vcpu in self._vcpus]
        links = [self._world.blocking_list(cpu) for cpu in self._cpus] + [vcpu + o.node for vcpu in self._vcpus]
        return parts + [read(link + o.list_next, 8) for link in links]

    def _fields(self) -> dict[int, dict[str, Value]]:
        """What a trace would show of memory as it is."""
        memory, o, layout = self._layout.memory, self._world.o, self._layout
        on: dict[int, int] = {}
        for cpu in self._cpus:
            head = self._world.blocking_list(cpu)
            node = layout.physical(memory.u64(head + o.list_next))
            while node != head and node - o.node in self._numbers and node not in on:
                on[node] = cpu
                node = layout.physical(memory.u64(node + o.list_next))
        locks = {layout.virtual(self._world.blocking_lock(cpu)): cpu for cpu in self._cpus}
        found: dict[int, dict[str, Value]] = {}
        for number, vcpu in enumerate(self._vcpus):
            whole = int.from_bytes(memory.read(vcpu + o.pi_desc, PI_DESC.size), "little")
            fields: dict[str, Value] = {name: PI_DESC[name].extract(whole) for name in CONTROL}
            pir = PI_DESC["pir"].extract(whole)
            fields["pir"] = tuple(vector for vector in range(256) if pir >> vector & 1)
            fields["blocking_list"] = on.get(vcpu + o.node)
            fields["blocking_lock"] = locks.get(memory.u64(vcpu + o.node_lock))
            found[number] = fields
        return found


def _actor(cpu: int) -> Actor:
    return Actor(ActorId(ActorKind.CPU, cpu), f"CPU {cpu}", cpu)


def _copy(actor: Actor) -> Actor:
    mine = _actor(actor.cpu)
    mine.stack = [frame.copy() for frame in actor.stack]
    mine.in_irq, mine.irqs = actor.in_irq, actor.irqs
    return mine


def _step(actor: Actor) -> tuple[str, str] | None:
    """The step that comes next, if it is of a procedure that is looked at."""
    frame = actor.stack[-1]
    for name in PROCEDURES_OF.values():
        procedure = PROCEDURES[name]
        if procedure.number == frame[PROCEDURE] and frame[PC] < len(procedure.steps):
            return name, procedure.steps[frame[PC]].action
    return None


def _number(value: Value) -> int | None:
    return value if isinstance(value, int) else None


def _vectors(value: Value) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else ()
