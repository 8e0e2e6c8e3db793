"""Actors whose state is a view's: each has two keys of it, its local APIC a third."""

from __future__ import annotations

from typing import Any

from sim_backend.explore.freeze import freeze, thaw
from sim_backend.explore.model import Key, Value
from sim_backend.explore.view import Shared
from sim_backend.logic.actors import Device, Toolstack, Unit
from sim_backend.logic.cpu import INJECTED, BufferedCpu, Cpu, assist, idle_loop, in_guest, vmx_do_vmentry
from sim_backend.logic.program import PC, PROCEDURE
from sim_backend.logic.store_buffers import StoreBuffer
from sim_backend.logic.vtd_engine import Lapic


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
            self._parts[part] = thaw(machine.view[key])
            self._shown[part] = machine.shown
            machine.changed[key] = self, part
        return self._parts[part]

    def freeze(self, part: int) -> Value:
        """A part of its state, without what nobody reads any more."""
        if part == WHERE:
            return freeze(self._parts[WHERE])
        stack, result, in_irq, irqs, queue = map(freeze, self._parts[DOING])
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
        return [(part, self.freeze(part)) for part in (DOING, WHERE) if self._shown[part] is self.machine.shown]

    def restore(self, kept: list[tuple[int, Value]]) -> None:
        """Go back to a state that was kept."""
        for part, value in kept:
            self._parts[part] = thaw(value)


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
