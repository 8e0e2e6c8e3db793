"""The simulated machine on a view: the same procedures, but what they read and store is a state's.

Left out of a state is what only mirrors something else that is in it, or counts for ever: `current` and `curr_vcpu` in
memory, the APIC pages, the scheduler's resources, `irq_count`. A ticket lock's state is how many hold or want it, not
how often it was taken.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from sim_backend.explore.freeze import freeze, thaw
from sim_backend.explore.model import Key, Value
from sim_backend.explore.tracked_actors import (
    DOING,
    TrackedBufferedCpu,
    TrackedCpu,
    TrackedDevice,
    TrackedLapic,
    TrackedStoreBuffer,
    TrackedToolstack,
    TrackedUnit,
)
from sim_backend.explore.tracked_memory import TrackedMemory, TrackedStores
from sim_backend.explore.view import View
from sim_backend.layout.layout import Layout
from sim_backend.logic.context import LogicContext
from sim_backend.logic.program import Actor
from sim_backend.logic.store_buffers import Store
from sim_backend.machine.machine import Machine

ATTRIBUTES = (
    *("runq", "scheduled", "tasklets", "dpci", "flush_locked", "flush_mask", "leaving", "events", "migrating"),
    *("orders", "bindings", "owners", "iec", "next_fault", "online", "active", "ipi_order", "lost"),
    *("areas", "crashed"),
)
"""What a machine's state is beside memory and actors."""


class TrackedLayout(Layout):
    """A layout of which CPUs come and go."""

    machine: Any

    def offline(self, cpu: int) -> None:
        """The list of CPUs that are online says it all."""

    def free_percpu(self, cpu: int) -> None:
        areas = self.machine.areas
        del areas[cpu]

    def online(self, cpu: int) -> None:
        area, o = self.machine.all_areas[cpu], self.machine.o
        self.machine.areas[cpu] = area
        self.list_init(area + o.list)
        self.memory.set_u32(area + o.lock, 0)


def _attribute(name: str) -> Any:
    def get(self: Any) -> Any:
        return self.opened(name)

    def put(self: Any, value: Any) -> None:
        self.view.touch(name)
        self.changed[name] = value

    return property(get, put)


class TrackedMachine(Machine):
    """A machine whose state is a view's.

    Attributes:
        view: the state that is shown.
        changed: what was opened in it: actors by key, other things by name.
    """

    view: View
    changed: dict[Key, Any]

    def __init__(self, machine: Machine) -> None:
        # What is tracked has a property of the class, which goes before what is in the instance's dictionary.
        self.__dict__.update(machine.copy().__dict__)
        self.base = machine
        base_layout: Any = self.layout
        locks = frozenset(
            (
                *(LogicContext.blocking_lock(machine, cpu) for cpu in machine.areas),
                *map(machine.table_lock, range(len(machine.units))),
            )
        )
        self.layout: Any = copy(base_layout)
        self.layout.__class__ = TrackedLayout
        self.layout.machine = self
        tracked = TrackedMemory(machine.layout.memory, locks)
        tracked.machine = self
        self.layout.memory = tracked
        self.memory = TrackedStores(tracked, self) if machine.store_buffers else tracked
        self.all_areas = dict(machine.areas)
        self.virtual, self.physical = self.layout.virtual, self.layout.physical
        kind = TrackedBufferedCpu if machine.store_buffers else TrackedCpu
        self.cpus = [self._actor(cpu, kind) for cpu in machine.cpus]
        self.drains = [self._actor(drain, TrackedStoreBuffer) for drain in machine.drains]
        for number, cpu in enumerate(self.cpus):
            cpu.lapic = TrackedLapic(self, number)
        self.devices = {sid: self._actor(device, TrackedDevice) for sid, device in machine.devices.items()}
        self.toolstack = self._actor(machine.toolstack, TrackedToolstack)
        self.units = [self._actor(unit, TrackedUnit) for unit in machine.units]
        self._line_up()
        self.shown: object = None

    def _actor(self, actor: Any, kind: Any) -> Any:
        tracked = kind.__new__(kind)
        tracked.name, tracked.cpu = actor.name, actor.cpu
        tracked.attach(self)
        for name in ("sid", "number"):
            if hasattr(actor, name):
                setattr(tracked, name, getattr(actor, name))
        return tracked

    def first(self, key: Key) -> Value:
        """What a key's value is in the first state."""
        base: Any = self.base
        if isinstance(key, int):
            return self.layout.memory.first(key)
        if isinstance(key, tuple):
            kind, *rest = key
            if kind == "lapic":
                lapic = base.cpus[rest[0]].lapic
                return lapic.irr, lapic.isr
            if kind == "curr":
                return base.curr[rest[0]]
            if kind == "posted":
                return 0, 0
            if kind == "buffer":
                return tuple(map(self.layout.memory.first_store, base.buffers[rest[0]]))
            if kind == "where":
                actor = next(actor for actor in base.actors if actor.name == rest[0])
                return actor.current, getattr(actor, "guest", False)
            return self.first_of_other(kind, rest)
        if key in ATTRIBUTES:
            return freeze(getattr(base, key))
        actor = next(actor for actor in base.actors if actor.name == key)
        tracked = next(other for other in self.actors if other.name == key)
        parts = [actor.stack, actor.result, actor.in_irq, actor.irqs, getattr(actor, "queue", [])]
        tracked.restore([(DOING, freeze(parts))])
        return tracked.freeze(DOING)

    def first_of_other(self, kind: Any, rest: list[Any]) -> Value:
        """What a key that is not the machine's has for its first value."""
        raise KeyError((kind, *rest))

    def show(self, view: View) -> None:
        """Be the machine in the state of a view."""
        self.view = view
        self.changed = {}
        self.shown = object()
        self.effect, self.words = None, ("", "")

    def store(self) -> None:
        """Have the view take what has changed."""
        for key, opened in self.changed.items():
            self.view[key] = opened[0].freeze(opened[1]) if isinstance(opened, tuple) else freeze(opened)

    def opened(self, name: Key) -> Any:
        """An attribute, to be changed."""
        self.view.touch(name)
        if name not in self.changed:
            self.changed[name] = thaw(self.view[name])
        return self.changed[name]

    def buffer(self, cpu: int) -> list[Store]:
        stores: list[Store] = self.opened(("buffer", cpu))
        return stores

    def message(self, destination: int, vector: int) -> None:
        super().message(destination, vector)
        if self.lost:
            self.lost = 1

    def take_virtual(self, v: int, vector: int) -> None:
        super().take_virtual(v, vector)
        posted, delivered = self.view["posted", v, vector]
        self.view["posted", v, vector] = posted, delivered + 1

    def count_posted(self, v: int, vector: int) -> None:
        """Note that a vector is on its way to a vCPU."""
        posted, delivered = self.view["posted", v, vector]
        self.view["posted", v, vector] = posted + 1, delivered

    def get_random(self) -> int:
        raise AssertionError("where something is drawn, all of it is tried")

    def below(self, limit: int) -> int:
        return self.view.choose(limit)

    def any_online_cpu(self) -> int:
        online = self.online_cpus()
        return online[self.below(len(online))] if online else super().any_online_cpu()

    def refresh(self) -> None:
        """Nothing that follows from the layout changes."""

    def give(self, sid: int, domain: int | None) -> None:
        owners = self.owners
        if domain is None:
            owners.pop(sid, None)
        else:
            owners[sid] = domain

    # What only mirrors something is not stored.

    def count_irq(self, actor: Actor) -> None:
        """Not a part of the state."""

    def set_in_irq(self, actor: Actor, change: int) -> None:
        actor.in_irq += change

    def curr_vcpu(self, cpu: int) -> int:
        loaded: int = self.view["curr", cpu]
        return loaded

    def set_curr_vcpu(self, cpu: int, v: int) -> None:
        self.view["curr", cpu] = v

    def set_current(self, actor: Actor, v: int) -> None:
        actor.current = v

    def set_running(self, v: int, running: int) -> None:
        self.memory.set_u8(v + self.o.is_running, running)

    def set_scheduled(self, cpu: int, v: int) -> None:
        self.fence()

    def set_processor(self, v: int, cpu: int) -> None:
        self.memory.set_u32(v + self.o.processor, cpu)
        self.fence()


for _name in ATTRIBUTES:
    setattr(TrackedMachine, _name, _attribute(_name))
