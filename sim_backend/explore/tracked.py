"""The simulated machine on a view: the same procedures, but what they read and store is a state's.

Left out of a state is what only mirrors something else that is in it, or counts for ever: `current` and `curr_vcpu` in
memory, the APIC pages, the scheduler's resources, `irq_count`. A ticket lock's state is how many hold or want it, not
how often it was taken.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from sim_backend.actors import Device, Toolstack, Unit
from sim_backend.cpu import INJECTED, BufferedCpu, Cpu, assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.explore.model import Key, Value
from sim_backend.explore.view import Shared, View
from sim_backend.hardware import Lapic
from sim_backend.layout import Layout
from sim_backend.machine import Machine
from sim_backend.memory import Memory, SeenMemory
from sim_backend.program import PC, PROCEDURE, Actor
from sim_backend.store_buffers import NOBODY, BufferedMemory, Store, StoreBuffer
from sim_backend.world import World

CELL = 8
TABLE = "table"
ATTRIBUTES = (
    *("runq", "scheduled", "tasklets", "dpci", "flush_locked", "flush_mask", "leaving", "events", "migrating"),
    *("orders", "bindings", "owners", "targets", "iec", "next_fault", "online", "active", "ipi_order", "lost"),
    *("areas", "crashed"),
)
"""What a machine's state is beside memory and actors."""


def frozen(value: Any) -> Value:
    """A value that can be compared and hashed."""
    if isinstance(value, list):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return (TABLE, *sorted((key, frozen(item)) for key, item in value.items()))
    return value


def thawed(value: Any) -> Any:
    """What was frozen, to be changed."""
    if not isinstance(value, tuple):
        return value
    if value[:1] == (TABLE,):
        return {key: thawed(item) for key, item in value[1:]}
    return list(map(thawed, value))


class TrackedMemory(SeenMemory):
    """Memory, 8 bytes a key: their address."""

    __slots__ = ("_base", "_locks", "machine")

    def __init__(self, base: Memory, locks: frozenset[int]) -> None:
        self._base = base
        self._locks = locks
        self.size, self.high = base.size, base.high
        self.observer = None
        self.machine: Any = None

    def first(self, cell: int) -> int:
        """What is there in the first state."""
        return self._settled(cell, self._base.u64(cell))

    def _number(self, address: int, size: int) -> int:
        at = address & CELL - 1
        if at + size > CELL:
            return int.from_bytes(self.read(address, size), "little")
        cell: int = self.machine.view[address - at]
        return cell >> 8 * at & (1 << 8 * size) - 1

    def _store(self, address: int, size: int, value: int) -> None:
        if not 0 <= value < 1 << 8 * size:
            raise self._no_number(address, size, value)
        at = address & CELL - 1
        if at + size > CELL:
            self.write(address, value.to_bytes(size, "little"))
            return
        cell, view = address - at, self.machine.view
        whole = view[cell] & ~((1 << 8 * size) - 1 << 8 * at) | value << 8 * at
        view[cell] = self._settled(cell, whole)

    def _settled(self, cell: int, value: int) -> int:
        for lock in (cell, cell + 4):
            if lock in self._locks:
                shift = 8 * (lock - cell)
                word = value >> shift & 0xFFFF_FFFF
                waiting = (word >> 16) - word & 0xFFFF
                value = value & ~(0xFFFF_FFFF << shift) | waiting << 16 + shift
        return value

    def read(self, address: int, size: int) -> bytes:
        start, end = address & -CELL, address + size
        view = self.machine.view
        cells = b"".join(view[cell].to_bytes(CELL, "little") for cell in range(start, end, CELL))
        return cells[address - start : end - start]

    def write(self, address: int, data: bytes) -> None:
        end = address + len(data)
        for cell in range(address & -CELL, end, CELL):
            first, last = max(cell, address), min(cell + CELL, end)
            part = data[first - address : last - address]
            self._store(first, len(part), int.from_bytes(part, "little"))

    def test_and_set_bit(self, address: int, bit: int) -> bool:
        return self._change_bit(address + (bit >> 3), 1 << (bit & 7), True)

    def test_and_clear_bit(self, address: int, bit: int) -> bool:
        return self._change_bit(address + (bit >> 3), 1 << (bit & 7), False)

    def _change_bit(self, address: int, mask: int, value: bool) -> bool:
        old = self.u8(address)
        self.set_u8(address, old | mask if value else old & ~mask)
        return bool(old & mask)

    def has(self, address: int, size: int) -> bool:
        return self._base.has(address, size)

    def first_store(self, store: Store) -> Store:
        """A store that waits in the first state: a lock is released from where memory says that it stands."""
        address, size, value = store
        return (address, size, value - self._base.u16(address) & 0xFFFF) if address in self._locks else store


class TrackedStores(BufferedMemory):
    """Memory with store buffers."""

    __slots__ = ()

    # A step that is to stay among its own (`View.own`) may look at its CPU's buffer, and no more. Memory that changes
    # is not its own, so whatever the buffer has let go of by then, it reads the same. But an interrupt may come before
    # it: all that the interrupt does with locked operations is then seen before a store of this step, and would be
    # seen after it if the store came early. And a fence that lets go of something is seen by others.

    def fence(self) -> None:
        if self.cpu != NOBODY and self.machine.view.own is not None and self.machine.buffer(self.cpu):
            raise Shared("fence")
        super().fence()

    def _store(self, address: int, size: int, value: int) -> None:
        if self.cpu != NOBODY and self.machine.view.own is not None:
            raise Shared(address)
        super()._store(address, size, value)


def _of_actor(part: int, index: int) -> Any:
    def get(self: Any) -> Any:
        return self.part(part)[index]

    def put(self: Any, value: Any) -> None:
        self.part(part)[index] = value

    return property(get, put)


DOING, WHERE = 0, 1
"""An actor's state in two parts: what it does (stack, result, in_irq, irqs, queue), and where it is (current, guest).
Many ask for the second alone, which has few values."""
STACK, RESULT, IN_IRQ, IRQS, QUEUE = range(5)


class TrackedActor:
    """What makes an actor one whose state is a view's."""

    name: str
    machine: Any
    stack = _of_actor(DOING, STACK)
    result = _of_actor(DOING, RESULT)
    in_irq = _of_actor(DOING, IN_IRQ)
    irqs = _of_actor(DOING, IRQS)
    queue = _of_actor(DOING, QUEUE)
    current = _of_actor(WHERE, 0)
    guest = _of_actor(WHERE, 1)

    def attach(self, machine: Any) -> None:
        """Belong to a machine."""
        self.machine = machine
        self.keys: tuple[Key, Key] = (self.name, ("where", self.name))
        self._parts: list[Any] = [None, None]
        self._shown: list[object] = [None, None]

    def part(self, part: int) -> Any:
        """A part of its state, to be changed."""
        machine = self.machine
        key = self.keys[part]
        machine.view.touch(key)
        if self._shown[part] is not machine.shown:
            self._parts[part] = thawed(machine.view[key])
            self._shown[part] = machine.shown
            machine.changed[key] = self, part
        return self._parts[part]

    def frozen(self, part: int) -> Value:
        """A part of its state, without what nobody reads any more."""
        if part == WHERE:
            return frozen(self._parts[WHERE])
        stack, result, in_irq, irqs, queue = map(frozen, self._parts[DOING])
        top: Any = stack[-1] if stack else None
        if top is None or top[PROCEDURE] == idle_loop.number:
            result = 0
        elif stack[0][PROCEDURE] == vmx_do_vmentry.number:
            pc, alone = stack[0][PC], len(stack) == 1
            if pc == assist.pc:
                stack = ((*stack[0][:INJECTED], 0, *stack[0][INJECTED + 1 :]), *stack[1:])
            if alone and pc in (assist.pc, in_guest.pc):
                result = 0
        return (stack, result, in_irq, irqs, queue)

    def keep(self) -> list[tuple[int, Value]]:
        """Its state as far as it has been read or changed, for `restore`."""
        return [(part, self.frozen(part)) for part in (DOING, WHERE) if self._shown[part] is self.machine.shown]

    def restore(self, kept: list[tuple[int, Value]]) -> None:
        """Go back to a state that was kept."""
        for part, value in kept:
            self._parts[part] = thawed(value)


class TrackedLapic(Lapic):
    """A local APIC whose state is a view's."""

    __slots__ = ("key", "machine")

    def __init__(self, machine: Any, cpu: int) -> None:
        self.machine = machine
        self.key = ("lapic", cpu)

    def _get(self, which: int) -> int:
        value: int = self.machine.view[self.key][which]
        return value

    def _put(self, which: int, value: int) -> None:
        view = self.machine.view
        if view.own is not None:
            raise Shared(self.key)
        old = view[self.key]
        view[self.key] = (value, old[1]) if which == 0 else (old[0], value)

    irr = property(lambda self: self._get(0), lambda self, value: self._put(0, value))
    isr = property(lambda self: self._get(1), lambda self, value: self._put(1, value))

    def _store(self, register: int, vector: int, value: int) -> None:
        """The page only mirrors the state."""


class TrackedCpu(TrackedActor, Cpu):
    """A CPU."""


class TrackedBufferedCpu(TrackedActor, BufferedCpu):
    """A CPU with a store buffer."""


class TrackedStoreBuffer(TrackedActor, StoreBuffer):
    """A store buffer."""


class TrackedDevice(TrackedActor, Device):
    """A device."""


class TrackedToolstack(TrackedActor, Toolstack):
    """The toolstack."""


class TrackedUnit(TrackedActor, Unit):
    """A VT-d unit."""


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
                *(World.blocking_lock(machine, cpu) for cpu in machine.areas),
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
            return frozen(getattr(base, key))
        actor = next(actor for actor in base.actors if actor.name == key)
        tracked = next(other for other in self.actors if other.name == key)
        parts = [actor.stack, actor.result, actor.in_irq, actor.irqs, getattr(actor, "queue", [])]
        tracked.restore([(DOING, frozen(parts))])
        return tracked.frozen(DOING)

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
            self.view[key] = opened[0].frozen(opened[1]) if isinstance(opened, tuple) else frozen(opened)

    def opened(self, name: Key) -> Any:
        """An attribute, to be changed."""
        self.view.touch(name)
        if name not in self.changed:
            self.changed[name] = thawed(self.view[name])
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
