"""A machine that is not there: Xen's memory, moved one atomic action at a time by Xen's own logic.

    >>> machine = Machine(load("idle"))
    >>> machine.block("d1v0")
    >>> machine.settle() > 0
    True
    >>> machine.post("00:03.0", 0)
    >>> print(machine.step())
    device 00:03.0: VT-d interrupt request: is remapped: the entry is fetched and checked

Who moves next is drawn from a generator that is part of the state: the same machine, version and seed give the same
run, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy as shallow_copy
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.domains import BLOCKED
from sim_backend.layout.layout import Layout
from sim_backend.logic.actors import Beside
from sim_backend.logic.context import INCREMENT, MULTIPLIER, U64, LogicContext
from sim_backend.logic.cpu import idle_loop
from sim_backend.logic.pi import VPF_BLOCKED
from sim_backend.logic.program import BY_NUMBER
from sim_backend.logic.scheduler import SCHEDULE_SOFTIRQ
from sim_backend.logic.store_buffers import BufferedMemory
from sim_backend.logic.versions import Version
from sim_backend.logic.versions import version as version_of
from sim_backend.machine.environment import PCIE_ENDPOINT, Environment
from sim_backend.machine.event import Event
from sim_backend.machine.moves import ENVIRONMENT, Move, give
from sim_backend.memory.errors import SimError
from sim_backend.scenario.scenario import DEFAULT, OUT_OF, Scenario, load

SETTLED = 100_000
Places = dict[int, tuple[int, list[int] | None]]
"""By actor: how deep its stack is, and the innermost procedure and step."""


class Machine(Environment):
    """A machine with the posted-interrupt logic of one version of Xen.

    Args:
        scenario: what machine; the bundled `one-device` by default. A LayoutConfig is a machine that does nothing of
            itself.
        version: `seed` (4.7) or `current` (4.20).
        seed: of the generator that decides who moves.
        store_buffers: what a CPU stores becomes visible to others later (see `sim_backend.logic.store_buffers`).

    Attributes:
        layout, memory: Xen's memory; everything that Xen or the hardware keeps is there.
        crashed: why the simulated Xen or hardware cannot go on, or None. Then no step is possible any more.
        steps: how many there were.
        entered: actor and name of the procedure that the last step entered, or None.
        ahead: the moves of a history that `step` and `run` are to do before chance decides. Not saved, no part of the
            digest.

    vCPUs are named `d1v0` or (1, 0), devices `00:03.0` or by number (bus << 8 | devfn).

    Raises:
        SimError: there is no such machine.
    """

    def __init__(
        self,
        scenario: Scenario | LayoutConfig | None = None,
        version: str | Version = "current",
        seed: int = 0,
        store_buffers: bool = False,
    ) -> None:
        if isinstance(scenario, LayoutConfig):
            scenario = Scenario(layout=scenario)
        self.scenario = scenario or load(DEFAULT)
        chosen = version_of(version) if isinstance(version, str) else version
        layout = Layout(_boot_config(self.scenario.layout, chosen))
        super().__init__(layout, chosen)
        self._with_buffers(store_buffers)
        self.workload = self.scenario.workload
        self.draw = self.random = seed & U64
        self._plain_state()
        self.status = [layout.heap.small(layout.memory, 64) for _ in layout.units]
        self.message_buffer = layout.heap.small(layout.memory, 64)
        self._actors()
        for cpu in self.cpus:
            self._start_idle(cpu)
        self.curr = [self.idle[cpu.cpu] for cpu in self.cpus]
        self.scheduled = list(self.curr)
        self._boot()

    @classmethod
    def resumed(cls, scenario: Scenario, version: Version, layout: Layout, store_buffers: bool = False) -> Machine:
        """A machine around a layout that has run before; its other state is to be set by the caller."""
        machine = cls.__new__(cls)
        LogicContext.__init__(machine, layout, version)
        machine._with_buffers(store_buffers)
        machine.scenario, machine.workload = scenario, scenario.workload
        machine.draw = machine.random = 0
        machine._plain_state()
        machine._actors()
        return machine

    def _with_buffers(self, there: bool) -> None:
        self.store_buffers = there
        if there:
            self.memory = BufferedMemory(self.layout.memory, self)

    def _boot(self) -> None:
        """Assign the devices, then let every vCPU wait for a CPU."""
        layout = self.layout
        for v in [v for domain in layout.domains.values() if not domain.hvm for v in domain.vcpus]:
            # The control domain's work is done by the toolstack; its own vCPUs sleep.
            layout.put("vcpu", v, {"pause_flags": 1 << VPF_BLOCKED, "runstate.state": BLOCKED})
        for sid in self.devices:
            layout.put("pci_dev", layout.device(sid).address, {"type": PCIE_ENDPOINT})
        for device in self.scenario.layout.devices:
            if device.domain in {number for number, _ in self.names.values()}:
                self.assign(device.bdf, device.domain)
        movers: list[Beside] = [self.toolstack, *self.units]
        while self.toolstack_busy():
            if not any(mover.turn(self) for mover in movers):
                raise SimError("the devices cannot be assigned: the toolstack waits for ever")
        for v in self.names:
            self.runq[self.memory.u32(v + self.o.processor)].append(v)
        for cpu in self.cpus:
            self.memory.test_and_set_bit(self.softirqs[cpu.cpu], SCHEDULE_SOFTIRQ)

    def step(self) -> Event | None:
        """Do one atomic action; None if nothing can happen unless it is asked for, or the machine has crashed."""
        if self.ahead and self.crashed is None:
            move, self.ahead = self.ahead[0], self.ahead[1:]
            return self.perform(move)
        before = self._places()
        return self._told(before) if self.run(1) else None

    def perform(self, move: Move) -> Event:
        """Do one move. Chance has no part in it: the generators stay as they are.

        Returns what it did; of an order, what was asked for; and if the machine crashes, why.

        Raises:
            SimError: it cannot be done now (the actor has to wait), or there is no such actor or order.
        """
        if self.crashed is not None:
            raise SimError(f"the machine has crashed: {self.crashed}")
        before = self._places()
        self.choices = list(move.choices)
        try:
            if move.order is not None:
                give(self, move.order, move.arguments)
                asked = " ".join(map(str, move.arguments))
                return Event(self.steps, ENVIRONMENT, move.order, asked, *self._effect())
            return self._turn(move.turn, before)
        finally:
            self.choices = None

    def _turn(self, name: str | None, before: Places) -> Event:
        actor = next((actor for actor in self.actors if actor.name == name), None)
        if actor is None:
            raise SimError(f"nobody is called {name!r}; there are {', '.join(actor.name for actor in self.actors)}")
        self.moving = actor
        try:
            moved = actor.turn(self)
        except SimError as error:
            self._crash(error)
            _, _, why = str(self.crashed).split(": ", 2)
            return replace(self._told(before), number=self.steps + 1, action=f"cannot go on: {why}")
        if not moved:
            raise SimError(f"{name} cannot do anything now")
        self.steps += 1
        return self._told(before)

    def _places(self) -> Places:
        """Where everybody is before a step; what the last one did is forgotten."""
        self.words = self.effect = self.entered = None
        return {id(actor): (len(actor.stack), actor.stack[-1][:2] if actor.stack else None) for actor in self.actors}

    def _told(self, before: Places) -> Event:
        """What the actor that moved did."""
        actor = self.moving
        depth, place = before[id(actor)]
        if len(actor.stack) > depth:
            self.entered = (actor.name, BY_NUMBER[actor.stack[-1][0]].name)
        if self.words is not None:
            function, action = self.words
        elif place is not None:
            procedure = BY_NUMBER[place[0]]
            function, action = procedure.name, procedure.steps[place[1]].action
        else:
            function, action = self.begun
        return Event(self.steps, actor.name, function, action, *self._effect())

    def run(self, steps: int) -> int:
        """Do up to so many atomic actions; returns how many there were before nothing could happen any more.

        The moves that lie `ahead` come first, orders among them counted as well.

        Raises:
            SimError: one of these cannot be done.
        """
        if self.crashed is not None:
            return 0
        if self.ahead:
            moves = min(steps, len(self.ahead))
            done = sum(self.step() is not None for _ in range(moves))
            return done + (self.run(steps - moves) if steps > moves else 0)
        done = 0
        draw = self.draw
        try:
            while done < steps:
                before = draw
                draw = (draw * MULTIPLIER + INCREMENT) & U64
                chosen = (draw >> 33) % (len(self.actors) if self.background else self.foreground)
                # Whoever was drawn; if that one has to wait, those after it in turn.
                self.moving = actor = self.actors[chosen]
                if actor.turn(self) or self._another(chosen):
                    done += 1
                else:
                    draw = before
                    break
        except SimError as error:
            self._crash(error)
        self.draw = draw
        self.steps += done
        return done

    def events_of(self, steps: int) -> Iterator[Event]:
        """As `run`, telling each."""
        for _ in range(steps):
            event = self.step()
            if event is None:
                return
            yield event

    def settle(self, limit: int = SETTLED) -> int:
        """Run until nothing can happen any more, or `limit` steps are over; returns the steps."""
        return self.run(limit)

    def _another(self, drawn: int) -> bool:
        """One step of the first actor after `drawn` that can do one; False if none can."""
        actors = self.actors
        ring, count = (self.ring, len(actors)) if self.background else (self.foreground_ring, self.foreground)
        first = (drawn + 1) % count
        for actor in ring[first : first + count]:
            self.moving = actor
            if actor.turn(self):
                return True
        self.background = False
        # Everybody waits for the moment: chance is asked until it has something happen.
        for _ in range(64 * OUT_OF if self.workload.busy else 0):
            for actor in actors:
                self.moving = actor
                if actor.turn(self):
                    return True
        return False

    def _crash(self, error: SimError) -> None:
        actor = self.moving
        where = BY_NUMBER[actor.stack[-1][0]].name if actor.stack else "hardware"
        self.crashed = f"{actor.name}: {where}: {error}"

    def _effect(self) -> tuple[str | None, str | None, int | None, int | None]:
        effect = self.effect
        if effect is None:
            return None, None, None, None
        kind, subject, field, before, after = effect
        return self.name_of(kind, subject), field, before, after

    def where(self, cpu: int) -> str:
        """`guest`, `idle`, or the function that a CPU is about to begin, or is in (`vmx_vcpu_block+3`: 3 steps in)."""
        actor = self.cpus[cpu]
        if actor.guest:
            return "guest"
        procedure, pc = actor.stack[-1][:2]
        name = BY_NUMBER[procedure].name
        if name == idle_loop.name:
            return "idle"
        return f"{name}+{pc}" if pc else name

    def copy(self) -> Machine:
        """A machine of the same state that goes its own way. The memory's observer stays here."""
        other = Machine.__new__(Machine)
        other.__dict__.update(self.__dict__)
        other.layout = layout = self.layout.copy()
        other.memory = layout.memory
        other._with_buffers(self.store_buffers)
        other.buffers = [buffer.copy() for buffer in self.buffers]
        other.virtual, other.physical = layout.virtual, layout.physical
        other.cpus = [_copy_actor(cpu) for cpu in self.cpus]
        for cpu in other.cpus:
            cpu.lapic = shallow_copy(cpu.lapic)
            cpu.lapic.memory = layout.memory
        other.devices = {sid: _copy_actor(device) for sid, device in self.devices.items()}
        other.toolstack, other.outside = _copy_actor(self.toolstack), _copy_actor(self.outside)
        other.units = [_copy_actor(unit) for unit in self.units]
        other._line_up()
        other.moving = None
        for name in _LISTS:
            setattr(other, name, getattr(self, name).copy())
        other.runq = [queue.copy() for queue in self.runq]
        other.dpci = [queue.copy() for queue in self.dpci]
        other.orders = {v: [order.copy() for order in orders] for v, orders in self.orders.items()}
        return other

    snapshot = copy

    def digest(self) -> bytes:
        """32 bytes that tell this machine's state from any other: memory, CPUs, queues, generator."""
        state = [[actor.stack, actor.result, actor.in_irq, actor.irqs, actor.current] for actor in self.actors]
        queues = [[cpu.guest for cpu in self.cpus], [device.queue for device in self.devices.values()]]
        plain = [getattr(self, name) for name in _PLAIN]
        whole = repr((state, queues, self.toolstack.queue, plain, self.layout.heap.next, self.layout.heap.free))
        return blake2b(whole.encode(), key=self.memory.digest(), digest_size=32).digest()

    def save(self, path: str | Path) -> None:
        """Write the whole machine to a file. Raises SimError if that fails."""
        from sim_backend.machine.checkpoint import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """The machine that `save` wrote. Raises SimError if the file is damaged or none of these."""
        from sim_backend.machine.checkpoint import read

        return read(Path(path))


_LISTS = (
    *("online", "active", "tasklets", "events", "migrating", "bindings", "owners", "iec"),
    *("next_fault", "names", "curr", "scheduled", "areas", "irq_counts", "curr_vcpus", "status"),
)
_PLAIN = (
    *("draw", "random", "runq", "scheduled", "curr", "tasklets", "dpci", "flush_locked", "flush_mask", "leaving"),
    *("events", "migrating", "orders", "bindings", "owners", "iec", "next_fault", "online", "active"),
    *("ipi_order", "background", "buffers"),
)


def _boot_config(config: LayoutConfig, version: Version) -> LayoutConfig:
    """The layout before any device is assigned, with vCPUs as this version creates them."""
    devices = tuple(replace(device, domain=0) for device in config.devices)
    return replace(config, devices=devices, low_vcpus=version.low_vcpus, ndst_at_creation=version.ndst_at_creation)


def _copy_actor(actor: Any) -> Any:
    other = shallow_copy(actor)
    other.stack = [frame.copy() for frame in actor.stack]
    if hasattr(actor, "queue"):
        other.queue = [item.copy() if isinstance(item, list) else item for item in actor.queue]
    return other
