"""A bounded scenario as a model: a machine's actors are its progress, orders within bounds its environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, product
from typing import Any

from sim_backend.explore.model import Action, Key, Model, Property, Value
from sim_backend.explore.properties import Asked, Test
from sim_backend.explore.renaming import Renaming, renamings
from sim_backend.explore.tracked import DOING, LAPIC, WHERE, AnyTracked, TrackedMachine, tracked_machine
from sim_backend.explore.view import Shared, View
from sim_backend.logic.context import msi_key
from sim_backend.logic.cpu import Cpu
from sim_backend.logic.guests import FIRST_GUEST_VECTOR, TIMER_VECTOR
from sim_backend.logic.program import Actor, procedure_of
from sim_backend.logic.vtd_engine import posted_interrupt_processing
from sim_backend.machine.boot import AnyMachine
from sim_backend.machine.environment import Move, give
from sim_backend.machine.orders import IPI_VECTOR
from sim_backend.machine.parts import MACHINE, apic_name
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import device_name
from sim_backend.scenario.bounds import UNBOUNDED, Bounds

Acted = tuple[bool, Any]


def alike(machine: AnyTracked, bounds: Bounds) -> list[Renaming]:
    """The machine's symmetries; none where KVM runs: what a renaming makes of Linux's memory is not declared."""
    return renamings(machine, bounds) if isinstance(machine, TrackedMachine) else []


LEFT = "left"
"""The first of the keys of what is left of the bounds."""
MOST_AT_ONCE = 64
"""So many steps of an actor that touch nothing but what is its own become one action at most."""


class BoundedMachine:
    """A machine with what is left of its bounds.

    Attributes:
        machine: it, on the state that is shown.
        ran: the procedures that ran. situations: those in which a vCPU was. spurious: whether a notification was.
    """

    def __init__(self, machine: AnyMachine, bounds: Bounds) -> None:
        self.machine = tracked_machine(machine)
        self.bounds = bounds
        self.machine.vectors = self._vectors(machine)
        if bounds.rebinds:
            # What a message becomes is known only when it is posted.
            self.machine.tally.vectors = frozenset(self.machine.vectors)
        self.ran: set[str] = set()
        self.situations: set[str] = set()
        self.spurious = False

    def _vectors(self, machine: AnyMachine) -> list[tuple[int, int]]:
        """The vCPUs and vectors that interrupts may go to."""
        w, names = machine.context, machine.names
        bound = {pair for pairs in w.state.bindings.values() for pair in pairs} if self.bounds.posts else set()
        if self.bounds.retargets or self.bounds.swaps or self.bounds.rewrites:
            bound = set(product(names, {vector for _, vector in bound}))
        if self.bounds.posts and self.bounds.attaches:
            msis = [msi for sid in w.devices for msi in w.layout.device(sid).msis]
            bound |= {machine.binding_in(msi, domain) for msi in msis for domain in w.guests.domain_numbers()}
        emulated = {(v, FIRST_GUEST_VECTOR) for v in names} if self.bounds.emulated else set()
        ipis = {(v, IPI_VECTOR) for v in names} if self.bounds.ipis else set()
        timers = {(v, TIMER_VECTOR) for v in names} if self.bounds.timers or self.bounds.broadcasts else set()
        return sorted(bound | emulated | ipis | timers)

    def first(self, key: Key) -> Value:
        """What a key's value is in the first state."""
        if isinstance(key, tuple) and key[0] == LEFT:
            return self.bounds.numbers()[key[1]]
        return self.machine.first(key)

    def model(self, asked: Sequence[Asked] = ()) -> Model:
        """The model. A property of several tests becomes several of the same name."""
        machine = self.machine
        movers = [actor for actor in machine.actors if actor is not machine.context.outside]
        turns = [Action(actor.name, self._turn_of(actor)) for actor in movers]
        orders = [Action(name, act, progress=False) for name, act in self._orders()]
        properties = [
            Property(each.name, self._test(test), each.kind) for each in asked for test in each.tests(machine)
        ]
        properties += [Property("", self._test(self._notes_situation(v))) for v in machine.names]
        return Model(self.first, [*turns, *orders], properties, alike(machine, self.bounds))

    def _notes_situation(self, v: int) -> Test:
        def note(machine: AnyTracked) -> bool:
            self.situations.add(machine.situation(v))
            return True

        return note

    def _test(self, test: Test) -> Callable[[View], bool]:
        def tested(view: View) -> bool:
            self.machine.show(view)
            return test(self.machine)

        return tested

    def _turn_of(self, actor: Any) -> Callable[[View], Acted]:
        def act(view: View) -> Acted:
            self.machine.show(view)
            return (False, None) if self.machine.crashed else self._generation(view, actor, [])

        return act

    def _generation(self, view: View, actor: Any, moves: list[Move]) -> Acted:
        """Have an actor do its next step, and those after it that touch nothing but its own."""
        drawn = len(view.drawn)
        try:
            watched = actor.irqs and isinstance(actor, Cpu)
            doing = self._doing(actor)
            if not actor.turn(self.machine.context):
                return False, None
            self._note(doing)
            moves.append(Move(actor.name, choices=tuple(chosen for chosen, _ in view.drawn[drawn:])))
            self._more(view, actor, moves, watched)
        except SimError as error:
            moves.append(Move(actor.name))
            self.machine.state.crashed = f"{actor.name}: {error}"
        self.machine.shown.store()
        return True, tuple(moves)

    def _more(self, view: View, actor: Any, moves: list[Move], watched: bool) -> None:
        """Steps that read and change nothing that others change. Nobody can tell whether they come at once or later.

        Where interrupts are on, that holds only if none is there: then the step before has looked.
        """
        cpu = actor.cpu
        own: set[Key] = {(actor.name, DOING), (actor.name, WHERE)}
        own |= {(MACHINE, "curr", cpu), (MACHINE, "buffers", cpu)}
        readable = own | {(apic_name(actor), LAPIC)} if isinstance(actor, Cpu) else own
        shown = self.machine.shown
        for _ in range(MOST_AT_ONCE):
            if not actor.stack or not (watched or not actor.irqs or not isinstance(actor, Cpu)):
                return
            state = self._seen_by_interrupts(actor)
            before = actor.keep()
            opened = dict(shown.opened)
            view.own = readable if watched else own
            doing = self._doing(actor)
            try:
                moved = actor.turn(self.machine.context)
                moved = moved and len(view.drawn) == sum(len(move.choices) for move in moves)
            except Shared:
                moved = False
            finally:
                view.own = None
            if moved and watched:
                # An interrupt may come before it: it must find the CPU as it would after it.
                moved = self._seen_by_interrupts(actor) == state
            if not moved:
                actor.restore(before)
                shown.opened = opened
                return
            self._note(doing)
            watched = watched and bool(actor.irqs)
            moves.append(Move(actor.name))

    @staticmethod
    def _doing(actor: Any) -> str:
        return procedure_of(actor.stack[-1]).name if actor.stack else ""

    def _note(self, doing: str) -> None:
        """What is run once for all states that are alike in what matters is run in states that can be reached."""
        self.ran.add(doing)
        effect = self.machine.context.effect
        if doing == posted_interrupt_processing.name and effect and effect[2:] == ("on", 0, 0):
            self.spurious = True

    @staticmethod
    def _seen_by_interrupts(actor: Actor) -> tuple[object, ...]:
        return actor.irqs, actor.in_irq, actor.current, isinstance(actor, Cpu) and actor.guest

    # The environment.

    def _orders(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        numbers = self.bounds.numbers()
        for kind, orders in (
            ("posts", self._posts()),
            ("blocks", self._of_guests("block")),
            ("hypercalls", self._of_guests("hypercall")),
            ("ipis", self._ipis()),
            ("preemptions", self._of_vcpus("preempt", None)),
            ("migrations", self._migrations()),
            ("upcalls", self._upcalls()),
            ("emulated", self._of_vcpus("deliver", self.machine.context.toolstack, FIRST_GUEST_VECTOR)),
            ("pauses", self._of_vcpus("sleep", self.machine.context.toolstack)),
            ("unpauses", self._unpauses()),
            ("attaches", self._attaches()),
            ("detaches", self._of_devices("deassign")),
            ("retargets", self._retargets()),
            ("nmis", self._nmis()),
            ("swaps", self._swaps()),
            ("offlines", self._of_cpus("offline")),
            ("onlines", self._of_cpus("bring_online")),
            ("saves", self._of_vcpus("save_context", self.machine.context.toolstack)),
            ("suspends", iter([("suspend", self._order(self.machine.context.toolstack, "suspend"))])),
            ("rewrites", self._rewrites()),
            ("unroutes", self._unroutes()),
            ("loads", self._of_vcpus("load_context", self.machine.context.toolstack)),
            ("timers", self._of_vcpus("expire_timer", None)),
            ("disables", self._disables()),
            ("moves", self._moves()),
            ("broadcasts", self._of_vcpus("broadcast_timer", self.machine.context.toolstack)),
        ):
            if numbers[kind]:
                for name, act in orders:
                    yield name, self._within(kind, act)

    def _within(self, kind: str, act: Callable[[View], Acted]) -> Callable[[View], Acted]:
        def bounded(view: View) -> Acted:
            left: Any = view[LEFT, kind]
            if not left:
                return False, None
            self.machine.show(view)
            if self.machine.crashed:
                return False, None
            if left != UNBOUNDED:
                view[LEFT, kind] = left - 1
            return act(view)

        return bounded

    def _order(self, actor: Any, order: str, *arguments: Any) -> Callable[[View], Acted]:
        """An order, and the first step of the actor that carries it out, which must have nothing else to do."""

        def act(view: View) -> Acted:
            if actor is not None and (actor.stack or actor.queue):
                return False, None
            try:
                give(self.machine, order, arguments)
            except SimError:
                return False, None
            moves = [Move(order=order, arguments=arguments)]
            self._count(order, arguments)
            if actor is not None:
                return self._generation(view, actor, moves)
            self.machine.shown.store()
            return True, tuple(moves)

        return act

    def _count(self, order: str, arguments: tuple[Any, ...]) -> None:
        """Note the vectors that an order sends."""
        machine, tally, w = self.machine, self.machine.tally, self.machine.context
        if order == "post":
            sid, number = machine.sid(arguments[0]), arguments[1]
            if not self.bounds.rebinds:
                for v, vector in w.state.bindings.get(msi_key(w.layout.device(sid).msis[number]), ()):
                    tally.count_posted(v, vector)
        elif order == "deliver":
            tally.count_posted(machine.vcpu(arguments[0]), arguments[1])
        elif order == "ipi":
            tally.count_posted(machine.vcpu(arguments[1]), IPI_VECTOR)
        elif order in ("expire_timer", "broadcast_timer"):
            tally.count_posted(machine.vcpu(arguments[0]), TIMER_VECTOR)

    def _posts(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for name, number in self._device_vectors():
            yield (
                f"post {name} {number}",
                self._order(self.machine.context.devices[self.machine.sid(name)], "post", name, number),
            )

    def _of_guests(self, order: str) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v in self.machine.names:
            yield f"{order} {self.machine.vcpu_name(v)}", self._guest(v, order, self.machine.vcpu_name(v))

    def _ipis(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v, (domain, _) in self.machine.names.items():
            for other, (its, _) in self.machine.names.items():
                if other != v and its == domain:
                    names = self.machine.vcpu_name(v), self.machine.vcpu_name(other)
                    yield f"ipi {' '.join(names)}", self._guest(v, "ipi", *names)

    def _guest(self, v: int, order: str, *arguments: Any) -> Callable[[View], Acted]:
        """What a guest does that makes its CPU leave it, once it has taken the interrupts that are there."""

        def act(view: View) -> Acted:
            cpu = self.machine.cpus[self.machine.cpu_of(v)]
            if not cpu.guest or cpu.current != v:
                return False, None
            try:
                give(self.machine, order, arguments)
            except SimError:
                return False, None
            self._count(order, arguments)
            acted, moves = self._generation(view, cpu, [Move(order=order, arguments=arguments)])
            return acted and not self.machine.state.orders, moves

        return act

    def _of_vcpus(self, order: str, actor: Any, *arguments: Any) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v in self.machine.names:
            yield (
                f"{order} {self.machine.vcpu_name(v)}",
                self._order(actor, order, self.machine.vcpu_name(v), *arguments),
            )

    def _migrations(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v in self.machine.names:
            for cpu in range(len(self.machine.cpus)):
                act = self._order(self.machine.context.toolstack, "migrate", self.machine.vcpu_name(v), cpu)
                yield f"migrate {self.machine.vcpu_name(v)} {cpu}", self._unless(partial(self._is_on, v, cpu), act)

    def _is_on(self, v: int, cpu: int) -> bool:
        return self.machine.cpu_of(v) == cpu

    def _upcalls(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v in self.machine.names:
            act = self._order(self.machine.context.toolstack, "wake", self.machine.vcpu_name(v))
            yield f"wake {self.machine.vcpu_name(v)}", self._unless(partial(self._is_paused, v), act)

    def _unpauses(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v in self.machine.names:
            act = self._order(self.machine.context.toolstack, "wake", self.machine.vcpu_name(v))
            yield f"unpause {self.machine.vcpu_name(v)}", self._unless(partial(self._is_paused, v, False), act)

    def _is_paused(self, v: int, so: bool = True) -> bool:
        return self.machine.is_paused(v) == so

    def _unless(self, obstacle: Callable[[], bool], act: Callable[[View], Acted]) -> Callable[[View], Acted]:
        return lambda view: (False, None) if obstacle() else act(view)

    def _attaches(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for sid in self.machine.context.devices:
            for domain in self.machine.context.guests.domain_numbers():
                name = device_name(sid)
                yield f"assign {name} {domain}", self._order(self.machine.context.toolstack, "assign", name, domain)

    def _of_devices(self, order: str) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for sid in self.machine.context.devices:
            yield f"{order} {device_name(sid)}", self._order(self.machine.context.toolstack, order, device_name(sid))

    def _retargets(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for vector in self._device_vectors():
            for v in self.machine.names:
                yield self._rewritten("retarget", *vector, self.machine.vcpu_name(v))
            yield self._rewritten("broadcast", *vector)

    def _rewrites(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for device, number in self._device_vectors():
            for v, (domain, _) in self.machine.names.items():
                for other, (its, _) in self.machine.names.items():
                    if its == domain:
                        names = self.machine.vcpu_name(v), self.machine.vcpu_name(other)
                        act = self._guest(v, "rewrite", names[0], device, number, names[1])
                        yield f"rewrite {names[0]} {device} {number} {names[1]}", self._unless(self._is_sending, act)

    def _unroutes(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for vector in self._device_vectors():
            yield self._rewritten("unroute", *vector)

    def _disables(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for vector in self._device_vectors():
            act = self._order(self.machine.context.toolstack, "disable_irq", *vector)
            yield " ".join(map(str, ("disable_irq", *vector))), act

    def _moves(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for device, number in self._device_vectors():
            for cpu in range(len(self.machine.cpus)):
                order = ("move_interrupt", device, number, cpu)
                yield " ".join(map(str, order)), self._order(self.machine.context.toolstack, *order)

    def _nmis(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for vector in self._device_vectors():
            yield self._rewritten("make_nmi", *vector)

    def _device_vectors(self) -> Iterator[tuple[str, int]]:
        for sid in self.machine.context.devices:
            for number in range(len(self.machine.layout.device(sid).msis)):
                yield device_name(sid), number

    def _rewritten(self, order: str, *arguments: Any) -> tuple[str, Callable[[View], Acted]]:
        act = self._unless(self._is_sending, self._order(self.machine.context.toolstack, order, *arguments))
        return " ".join(map(str, (order, *arguments))), act

    def _swaps(self) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        for v, other in combinations(self.machine.names, 2):
            if self.machine.names[v][0] == self.machine.names[other][0]:
                names = self.machine.vcpu_name(v), self.machine.vcpu_name(other)
                act = self._order(None, "swap_apic_ids", *names)
                yield f"swap_apic_ids {' '.join(names)}", self._unless(self._is_sending, act)

    def _is_sending(self) -> bool:
        """A guest masks a vector, and sees what was sent arrive, before it changes where it goes."""
        return any(device.stack or device.queue for device in self.machine.context.devices.values())

    def _of_cpus(self, order: str) -> Iterator[tuple[str, Callable[[View], Acted]]]:
        # One that was offline from the beginning has no place in memory that it could come back to.
        areas = self.machine.all_areas if isinstance(self.machine, TrackedMachine) else {}
        for cpu in sorted(areas.keys() - {0}):
            yield f"{order} {cpu}", self._order(self.machine.context.toolstack, order, cpu)
