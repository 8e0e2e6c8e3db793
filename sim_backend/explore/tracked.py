"""The simulated machine on a view: the same parts, but state and memory are those of the state that is shown.

Left out of a state is what only mirrors something else that is in it, or counts for ever: `current` and `curr_vcpu` in
memory, the APIC pages, the scheduler's resources, `irq_count`. A ticket lock's state is how many hold or want it, not
how often it was taken. Each actor has two keys of the view, its local APIC a third.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Iterator
from copy import copy
from typing import TYPE_CHECKING, Any, Union

from sim_backend.explore.model import Key, Value
from sim_backend.explore.situations import situation
from sim_backend.explore.tracked_memory import CELL, TrackedMemory, TrackedStores
from sim_backend.explore.tracked_records import Part, Shown, Tracked, frozen_part, parts_of, tracked
from sim_backend.explore.view import View
from sim_backend.layout.layout import Layout
from sim_backend.logic.context import Context, LogicContext
from sim_backend.logic.cpu import INJECTED, assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.logic.kinds import Held, held_fields
from sim_backend.logic.lapic import LAPIC_IRR, LAPIC_ISR
from sim_backend.logic.pi import LOCAL_IRQ_COUNT
from sim_backend.logic.program import BY_NUMBER, PC, PROCEDURE, Actor
from sim_backend.machine.boot import AnyMachine
from sim_backend.machine.engine import Engine
from sim_backend.machine.machine import Machine
from sim_backend.machine.parts import MACHINE, W, add_services, apic_name

if TYPE_CHECKING:
    from sim_backend.explore.tracked_kvm import TrackedKvm

AnyTracked = Union["TrackedMachine", "TrackedKvm"]
REGISTERS = range(0, 8 * 16, 16)

DOING, WHERE, LAPIC = "doing", "where", "lapic"
"""Parts of the state of an actor, and of its local APIC."""
STACK = 0
"""Of the part of an actor's state that says what it does, where its stack is."""


class TrackedLayout(Layout):
    """A layout of which CPUs and devices come and go: that they do is in the state."""

    def offline(self, cpu: int) -> None:
        """The list of CPUs that are online says it all."""

    def free_percpu(self, cpu: int) -> None:
        """The table of areas says it all."""

    def online(self, cpu: int) -> None:
        """An empty blocking list, where it was at first."""
        area = self.percpu(cpu, "vmx_pi_blocking")
        self.list_init(area + self.member("vmx_pi_blocking_vcpu", "list"))
        self.memory.set_u32(area + self.member("vmx_pi_blocking_vcpu", "lock"), 0)

    def give_device(self, bdf: int, domain_id: int | None) -> None:
        """The table of owners says it all."""


class Tried:
    """Where several things can happen, all of them are tried."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown

    def below(self, limit: int) -> int:
        """Any number below `limit`."""
        return self._shown.view.choose(limit)

    def happens(self, rate: int) -> bool:
        """Nothing happens of itself but what the bounds have."""
        return False


class Counted:
    """How often vectors were posted and delivered, in the state that is shown.

    Attributes:
        vectors: the vCPUs and vectors whose posts are counted when they happen; else they are when they are asked for.
    """

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self.vectors: Container[tuple[int, int]] = ()

    def counts(self, v: int, vector: int) -> tuple[int, int]:
        """How often a vector was posted to a vCPU, and delivered there."""
        counted: tuple[int, int] = self._shown.view["posted", v, vector]
        return counted

    def posted(self, v: int, vector: int) -> None:
        """As Tally.posted."""
        if (v, vector) in self.vectors:
            self.count_posted(v, vector)

    def count_posted(self, v: int, vector: int) -> None:
        """Note that a vector is on its way to a vCPU."""
        posted, delivered = self.counts(v, vector)
        self._shown.view["posted", v, vector] = posted + 1, delivered

    def taken(self, v: int, vector: int) -> None:
        """As Tally.taken."""
        posted, delivered = self.counts(v, vector)
        self._shown.view["posted", v, vector] = posted, delivered + 1


class Tracking:
    """What makes a machine one whose state is a view's: a machine of other parts, of which no method is another one.

    Attributes:
        base: the machine in the first state.
        shown: the state that is shown.
        tally: what is counted in it.
        vectors: the vCPUs and vectors that interrupts may go to.
    """

    if not TYPE_CHECKING:
        __slots__ = ()

    shown: Shown
    tally: Counted
    vectors: list[tuple[int, int]]
    context: Any
    _first: dict[str, tuple[object, tuple[Part, ...], tuple[Held, ...]]]

    def first(self, key: Key) -> Value:
        """What a key's value is in the first state. Raises KeyError for what is none of the machine's."""
        if isinstance(key, int):
            return _memory(self).first(key)
        name, part, *place = key
        if name == "posted":
            return 0, 0
        record, parts, held = self._first[name]
        if place:
            return self._first_item(record, _named(held, part), place[0])
        fields = _part(parts, part)
        value = frozen_part(record, fields)
        if part == DOING:
            assert isinstance(value, tuple)
            return without_unread(value)
        return value

    def _first_item(self, record: object, field: Held, place: int) -> Value:
        item = getattr(record, field.name)[place]
        if field.name == "buffers":
            return tuple(map(_memory(self).first_store, item))
        return field.kind.item.freeze(item)  # type: ignore[attr-defined]

    def show(self, view: View) -> None:
        """Be the machine in the state of a view."""
        self.shown.show(view)
        w: Context = self.context
        w.effect = w.words = w.begun = None

    def counts(self, v: int, vector: int) -> tuple[int, int]:
        """How often a vector was posted to a vCPU, and delivered there."""
        return self.tally.counts(v, vector)


class TrackedMachine(Tracking, Machine):
    """A machine with Xen whose state is a view's.

    Attributes:
        all_areas: by CPU that may be online, its `vmx_pi_blocking`.
    """

    __slots__ = ("_first", "all_areas", "base", "shown", "tally", "vectors")

    def __init__(self, machine: Machine) -> None:
        self.base = machine
        self.shown = shown = Shown()
        self.tally = Counted(shown)
        self.all_areas = dict(machine.state.areas)
        self.vectors = []
        base = machine.context
        w = shown_context(base, TrackedLayout, (_locks(base), _mirrors(base)), shown, self.tally)
        add_services(w)
        self._take(machine.scenario, w)
        self._first = first_records(machine)

    def situation(self, v: int) -> str:
        """Where a vCPU stands."""
        return situation(self, v)


def tracked_machine(machine: AnyMachine) -> AnyTracked:
    """A machine whose state is a view's; that machine is its first state."""
    if isinstance(machine, Machine):
        return TrackedMachine(machine)
    from sim_backend.explore.tracked_kvm import TrackedKvm

    return TrackedKvm(machine)


def first_records(machine: Engine[Any]) -> dict[str, tuple[object, tuple[Part, ...], tuple[Held, ...]]]:
    """The records of a machine that is the first state, with what is declared of them."""
    return {
        name: (record, parts_of(type(record)), held_fields(type(record))) for name, record in machine.records.items()
    }


def shown_context(
    base: W,
    layout_kind: type,
    special: tuple[Iterable[int], Iterable[int]],
    shown: Shown,
    tally: Counted,
) -> W:
    """A machine's parts, with state and memory those that are shown; they have no services yet.

    `special`: what in memory are ticket locks, and what only mirrors something else.
    """
    locks, mirrors = special
    w = copy(base)
    w.layout = layout = copy(base.layout)
    layout.__class__ = layout_kind
    layout.memory = memory = TrackedMemory(base.layout.memory, frozenset(locks), frozenset(mirrors), shown)
    w.state = tracked(base.state, MACHINE, shown)
    w.memory, w.buffered = memory, None
    if base.buffered is not None:
        w.memory = w.buffered = TrackedStores(memory, w.state, shown)
    w.virtual, w.physical = layout.virtual, layout.physical
    w.chance, w.tally = Tried(shown), tally

    def actor(each: Actor) -> Actor:
        made: Actor = tracked(each, each.name, shown, TrackedActor)
        return made

    w.cpus = [tracked(cpu, cpu.name, shown, TrackedActor) for cpu in base.cpus]
    for cpu in w.cpus:
        cpu.lapic = tracked(cpu.lapic, apic_name(cpu), shown, written_by_others=True)
        cpu.lapic.memory = memory
    w.drains = [tracked(drain, drain.name, shown, TrackedActor) for drain in base.drains]
    w.devices = {sid: tracked(device, device.name, shown, TrackedActor) for sid, device in base.devices.items()}
    w.units = [tracked(unit, unit.name, shown, TrackedActor) for unit in base.units]
    w.toolstack = tracked(base.toolstack, base.toolstack.name, shown, TrackedActor)
    return w


def _locks(w: LogicContext) -> Iterator[int]:
    yield from (w.blocking_lock(cpu) for cpu in w.state.areas)
    yield from map(w.table_lock, range(len(w.units)))


def _mirrors(w: LogicContext) -> Iterator[int]:
    """What only shows in memory what is elsewhere in the state, or counts for ever."""
    at = w.addresses
    shown = [*at.current, *(softirq + LOCAL_IRQ_COUNT for softirq in at.softirqs)]
    shown += [area + offset for area in w.state.areas.values() for offset in (at.irq_count, at.curr_vcpu)]
    shown += [unit + offset for unit in at.units.values() for offset in (at.unit_running, at.unit_res)]
    shown += [resource + at.resource_curr for resource in at.resources]
    return (place & -CELL for place in (*shown, *apic_registers(w)))


def apic_registers(w: Context) -> Iterator[int]:
    """Where what local APICs hold only shows."""
    starts = (cpu.lapic.page + start for cpu in w.cpus for start in (LAPIC_IRR, LAPIC_ISR))
    return (start + register for start in starts for register in REGISTERS)


def _memory(machine: Any) -> TrackedMemory:
    memory = machine.context.layout.memory
    assert isinstance(memory, TrackedMemory)
    return memory


def _part(parts: tuple[Part, ...], name: str) -> Part:
    return next(part for part in parts if part[0].part == name)


def _named(fields: tuple[Held, ...], name: str) -> Held:
    return next(field for field in fields if field.name == name)


def without_unread(values: tuple[Any, ...]) -> Hashable:
    """What an actor does (its stack comes first, then the result of its last procedure), without what nobody reads any
    more."""
    stack, result, *others = values
    top = stack[-1] if stack else None
    if top is None or top[PROCEDURE] == idle_loop.number or top[PC] in BY_NUMBER[top[PROCEDURE]].forgets:
        result = 0
    elif stack[0][PROCEDURE] == vmx_do_vmentry.number:
        pc, alone = stack[0][PC], len(stack) == 1
        if pc == assist.pc:
            stack = ((*stack[0][:INJECTED], 0, *stack[0][INJECTED + 1 :]), *stack[1:])
        if alone and pc in (assist.pc, in_guest.pc):
            result = 0
    return (stack, result, *others)


class TrackedActor(Tracked):
    """What makes an actor one whose state is a view's."""

    if not TYPE_CHECKING:
        __slots__ = ()

    def settled(self, part: int, values: tuple[Any, ...]) -> Hashable:
        """As Tracked.settled."""
        return without_unread(values) if self._fields[part][0].part == DOING else values
