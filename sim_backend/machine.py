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
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sim_backend import toolstack
from sim_backend.actors import Beside, Device, Outside, Toolstack, Unit, is_blocked, raise_event
from sim_backend.config import LayoutConfig
from sim_backend.cpu import DOWN, HALT, HYPERCALL, SEND_IPI, Cpu, idle_loop, vmx_do_vmentry
from sim_backend.devices import Msi
from sim_backend.domains import BLOCKED
from sim_backend.errors import SimError
from sim_backend.hardware import Remapping, flush_entry
from sim_backend.layout import Layout
from sim_backend.pi_logic import IRR, LOCAL_IRQ_COUNT, VPF_BLOCKED, vmx_deliver_posted_intr
from sim_backend.program import BY_NUMBER, Actor, Procedure
from sim_backend.scenario import DEFAULT, OUT_OF, Scenario, Workload, load, parse_bdf
from sim_backend.scheduler import (
    EVENT_CHECK_VECTOR,
    LOCAL_TIMER_VECTOR,
    SCHEDULE_SOFTIRQ,
    STATES,
    domain_pause,
    domain_unpause,
    start_migration,
    vcpu_pause,
    vcpu_unpause,
    wake,
)
from sim_backend.versions import Version
from sim_backend.versions import version as version_of
from sim_backend.world import CPU, DEVICE, DOMAIN, ENTRY, UNIT, VCPU, World
from structs.msi import COMPATIBILITY_ADDRESS, COMPATIBILITY_DATA

MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
U64 = (1 << 64) - 1
PCIE_ENDPOINT = 1
LEVEL_ASSERT = 1
BROADCAST = {False: 0xFF, True: 0xFFFF_FFFF}
FIRST_GUEST_VECTOR, GUEST_VECTORS = 0x30, 192
IPI_VECTOR = 0xFD
SETTLED = 100_000


VcpuName = str | tuple[int, int] | int
"""`d1v0`, (1, 0), or the physical address of its `struct vcpu`."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step: who did what, and what it changed. `before` and `after` are None if it changed nothing of interest."""

    number: int
    actor: str
    function: str
    action: str
    subject: str | None = None
    field: str | None = None
    before: int | None = None
    after: int | None = None

    def __str__(self) -> str:
        line = f"{self.actor}: {self.function}: {self.action}"
        if self.field is None or self.before is None or self.after is None:
            return line
        before, after = _value(self.field, self.before), _value(self.field, self.after)
        return f"{line} | {self.subject} {self.field} {before} -> {after}"


def _value(field: str, value: int) -> str:
    if field == "runstate":
        return STATES.get(value, str(value))
    if value < 0:
        return "none"
    return str(value) if value < 10 or "CPU" in field else f"{value:#x}"


class Machine(World):
    """A machine with the posted-interrupt logic of one version of Xen.

    Args:
        scenario: what machine; the bundled `one-device` by default. A LayoutConfig is a machine that does nothing of
            itself.
        version: `seed` (4.7) or `current` (4.20).
        seed: of the generator that decides who moves.

    Attributes:
        layout, memory: Xen's memory; everything that Xen or the hardware keeps is there.
        crashed: why the simulated Xen or hardware cannot go on, or None. Then no step is possible any more.
        steps: how many there were.
        entered: actor and name of the procedure that the last step entered, or None.

    vCPUs are named `d1v0` or (1, 0), devices `00:03.0` or by number (bus << 8 | devfn).

    Raises:
        SimError: there is no such machine.
    """

    def __init__(
        self, scenario: Scenario | LayoutConfig | None = None, version: str | Version = "current", seed: int = 0
    ) -> None:
        if isinstance(scenario, LayoutConfig):
            scenario = Scenario(layout=scenario)
        self.scenario = scenario or load(DEFAULT)
        chosen = version_of(version) if isinstance(version, str) else version
        layout = Layout(_boot_config(self.scenario.layout, chosen))
        super().__init__(layout, chosen)
        self.workload: Workload = self.scenario.workload
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
    def resumed(cls, scenario: Scenario, version: Version, layout: Layout) -> Machine:
        """A machine around a layout that has run before; its other state is to be set by the caller."""
        machine = cls.__new__(cls)
        World.__init__(machine, layout, version)
        machine.scenario, machine.workload = scenario, scenario.workload
        machine.draw = machine.random = 0
        machine._plain_state()
        machine._actors()
        return machine

    def _plain_state(self) -> None:
        """What is no memory, for a machine that is switched on."""
        config = self.layout.config
        self.steps = 0
        self.crashed: str | None = None
        self.entered: tuple[str, str] | None = None
        self.words: tuple[str, str] | None = None
        self.begun = ("", "")
        self.moving: Any = None
        self.reserved_first = False
        self.online = list(range(config.cpus))
        self.active = list(self.online)
        self.runq: list[list[int]] = [[] for _ in self.online]
        self.tasklets = [0] * config.cpus
        self.dpci: list[list[int]] = [[] for _ in self.online]
        self.flush_locked = 0
        self.flush_mask = 0
        self.leaving = -1
        self.background = False
        self.lost = 0
        self.events: dict[int, int] = {}
        self.migrating: dict[int, int] = {}
        self.orders: dict[int, list[list[int]]] = {}
        self.bindings: dict[int, tuple[int, int]] = {}
        self.owners: dict[int, int] = {}
        self.targets: dict[int, int] = {}
        self.iec: dict[tuple[int, int], int] = {}
        self.next_fault = [0] * config.units
        self.names: dict[int, tuple[int, int]] = {}

    def _actors(self) -> None:
        layout = self.layout
        self.cpus = [Cpu(layout, number) for number in range(layout.config.cpus)]
        self.devices = {sid: Device(sid, device_name(sid)) for sid in layout.devices}
        self.units = [Unit(number) for number in range(len(layout.units))]
        self.toolstack = Toolstack()
        self.outside = Outside()
        self.refresh()

    def refresh(self) -> None:
        """Compute again what follows from the layout: addresses, and who there is."""
        layout = self.layout
        cpus = range(layout.config.cpus)
        self._line_up()
        self.idle = [layout.idle_vcpu(cpu) for cpu in cpus]
        self.remapping = [Remapping(layout, unit) for unit in range(len(layout.units))]
        self.softirqs = [layout.irq_stat(cpu) for cpu in cpus]
        self.info = [layout.cpu_info(cpu) + self.o.current_vcpu for cpu in cpus]
        self.areas = {cpu: layout.percpu(cpu, "vmx_pi_blocking") for cpu in cpus if self.has_area(cpu)}
        self.irq_counts = {cpu: layout.percpu(cpu, "irq_count") for cpu in self.areas}
        self.curr_vcpus = {cpu: layout.percpu(cpu, "curr_vcpu") for cpu in self.areas}
        self.by_apic = {layout.config.apics[cpu]: cpu for cpu in cpus}
        self.names = {
            vcpu: (number, index)
            for number, domain in layout.domains.items()
            if domain.hvm
            for index, vcpu in enumerate(domain.vcpus)
        }
        everyone = [*self.names, *self.idle]
        self.domain_cache = {v: super(Machine, self).domain_of(v) for v in everyone}
        self.irrs = {v: self.physical(self.memory.u64(v + self.o.regs)) + IRR for v in self.names}
        self.schedulable = list(self.names)
        self._units_of = {v: self.physical(layout.get("vcpu", v, "sched_unit")) for v in everyone}

    def _line_up(self) -> None:
        """All actors; those who most often have nothing to do stand last, and are drawn only while `background`."""
        self.actors: list[Any] = [*self.cpus, *self.devices.values(), self.outside, self.toolstack, *self.units]
        self.ring = self.actors * 2
        self.foreground = len(self.cpus) + len(self.devices) + 1

    def has_area(self, cpu: int) -> bool:
        """Whether a CPU has a per-CPU area."""
        try:
            self.layout.percpu(cpu, "irq_count")
        except SimError:
            return False
        return True

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

    # Driving it.

    def step(self) -> Event | None:
        """Do one atomic action; None if nothing can happen unless it is asked for, or the machine has crashed."""
        before = {id(actor): (len(actor.stack), actor.stack[-1][:2] if actor.stack else None) for actor in self.actors}
        self.words = self.effect = self.entered = None
        if not self.run(1):
            return None
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
        """Do up to so many atomic actions; returns how many there were before nothing could happen any more."""
        if self.crashed is not None:
            return 0
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
        for actor in self.ring[drawn + 1 : drawn + len(actors)]:
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

    def name_of(self, kind: int, subject: int) -> str:
        """A thing's name, for people."""
        if kind == VCPU:
            return self.vcpu_name(subject)
        if kind == DOMAIN:
            numbers = [number for number, domain in self.layout.domains.items() if domain.address == subject]
            return f"d{numbers[0]}" if numbers else f"domain at {subject:#x}"
        if kind == DEVICE:
            return f"device {device_name(subject)}"
        if kind == ENTRY:
            return f"unit {subject >> 16} entry {subject & 0xFFFF}"
        return f"{'unit' if kind == UNIT else 'CPU'} {subject}"

    def vcpu_name(self, v: int) -> str:
        """`d1v0`, `idle 2`, or an address that is no vCPU's."""
        if v in self.names:
            return "d{}v{}".format(*self.names[v])
        return f"idle {self.idle.index(v)}" if v in self.idle else f"freed vCPU at {v:#x}"

    def vcpu(self, name: VcpuName) -> int:
        """A vCPU's `struct vcpu` by its name. Raises SimError if there is none."""
        if isinstance(name, int):
            pair = self.names.get(name)
        elif isinstance(name, str):
            pair = _parse_vcpu(name)
        else:
            pair = name
        for v, known in self.names.items():
            if known == pair:
                return v
        raise SimError(f"there is no vCPU {name}; there are {', '.join(map(self.vcpu_name, self.names))}")

    def sid(self, device: str | int) -> int:
        """A device's source-id by its name. Raises SimError if there is none."""
        sid = parse_bdf(device) if isinstance(device, str) else device
        if sid not in self.devices:
            known = ", ".join(map(device_name, self.devices)) or "none"
            raise SimError(f"there is no device {device_name(sid)}; there are: {known}")
        return sid

    def post(self, device: str | int, number: int = 0) -> None:
        """A device sends the message of its vector `number`."""
        sid = self.sid(device)
        count = len(self.layout.device(sid).msis)
        if not 0 <= number < count:
            raise SimError(f"device {device_name(sid)} has vectors 0 to {count - 1}, not {number}")
        self.devices[sid].queue.append(number)

    def request(self, device: str | int, address: int, data: int) -> None:
        """A device sends any message."""
        from sim_backend.hardware import interrupt_request

        sid = self.sid(device)
        actor = self.devices[sid]
        if actor.stack:
            raise SimError(f"device {device_name(sid)} is still sending another message")
        actor.call(interrupt_request, sid, address, data, self.layout.unit_of(sid))

    def deliver(self, vcpu: VcpuName, vector: int) -> None:
        """Software posts a vector: an emulated device's interrupt."""
        v = self.vcpu(vcpu)
        if not 16 <= vector < 256:
            raise SimError(f"vector {vector:#x}: a guest's interrupts have vectors 0x10 to 0xff")
        self.order(vmx_deliver_posted_intr, v, vector)

    def block(self, vcpu: VcpuName) -> None:
        """The guest halts the vCPU, the next time that it runs there."""
        v = self.vcpu(vcpu)
        if is_blocked(self, v):
            raise SimError(f"{self.vcpu_name(v)} is blocked already")
        self.orders.setdefault(v, []).append([HALT])

    def hypercall(self, vcpu: VcpuName) -> None:
        """The guest leaves non-root mode on this vCPU once and comes back."""
        self.orders.setdefault(self.vcpu(vcpu), []).append([HYPERCALL])

    def down(self, vcpu: VcpuName) -> None:
        """The guest stops the vCPU for good: HLT with interrupts off."""
        self.orders.setdefault(self.vcpu(vcpu), []).append([DOWN])

    def ipi(self, source: VcpuName, target: VcpuName, vector: int = IPI_VECTOR) -> None:
        """The guest sends an interrupt from one vCPU to another one."""
        self.orders.setdefault(self.vcpu(source), []).append([SEND_IPI, self.vcpu(target), vector])

    def wake(self, vcpu: VcpuName) -> None:
        """Unpause a vCPU that is paused; otherwise an event channel's upcall, which wakes one that is blocked."""
        v = self.vcpu(vcpu)
        if self.memory.u32(v + self.o.pause_count):
            self.order(vcpu_unpause, v)
        else:
            raise_event(self.outside, self, v)

    def sleep(self, vcpu: VcpuName) -> None:
        """Pause a vCPU: it does not run until it is unpaused."""
        self.order(vcpu_pause, self.vcpu(vcpu))

    def preempt(self, vcpu: VcpuName, by_tasklet: bool = False) -> None:
        """End the time slice of a vCPU: another one runs if one waits, or idle for a tasklet.

        Raises:
            SimError: it does not run.
        """
        v = self.vcpu(vcpu)
        if v not in self.scheduled:
            raise SimError(f"{self.vcpu_name(v)} does not run: there is nothing to preempt")
        cpu = self.scheduled.index(v)
        if by_tasklet:
            self.tasklet(cpu)
        else:
            self.send_ipi(self.outside, cpu, LOCAL_TIMER_VECTOR)

    def tasklet(self, cpu: int) -> None:
        """A CPU gets a tasklet to run, which it does as idle."""
        self._check_cpu(cpu)
        self.tasklets[cpu] += 1
        self.cpu_raise_softirq(self.outside, cpu, SCHEDULE_SOFTIRQ)

    def migrate(self, vcpu: VcpuName, cpu: int) -> None:
        """Move a vCPU to another CPU."""
        self._check_cpu(cpu)
        self.order(start_migration, self.vcpu(vcpu), cpu)

    def offline(self, cpu: int) -> None:
        """Take a CPU offline. CPU 0 stays."""
        self._check_cpu(cpu)
        if cpu == 0:
            raise SimError("CPU 0 cannot go offline")
        self.order(toolstack.cpu_down, cpu)

    def bring_online(self, cpu: int) -> None:
        """Bring a CPU back."""
        if not 0 <= cpu < len(self.cpus) or cpu in self.online:
            raise SimError(f"CPU {cpu} is not offline")
        self.order(toolstack.cpu_up, cpu)

    def assign(self, device: str | int, domain: int) -> None:
        """Give a device to a domain, and its interrupts to the domain's vCPUs, one after the other."""
        sid = self.sid(device)
        if domain not in {number for number, _ in self.names.values()}:
            raise SimError(f"there is no domain {domain} that a device could be assigned to")
        if self.owner(sid) is not None:
            raise SimError(f"device {device_name(sid)} is assigned to domain {self.owner(sid)} already")
        self.order(toolstack.assign_device, sid, domain)

    def deassign(self, device: str | int) -> None:
        """Take a device away from its domain."""
        sid = self.sid(device)
        owner = self.owner(sid)
        if owner is None:
            raise SimError(f"device {device_name(sid)} is not assigned")
        self.order(toolstack.deassign_device, sid, owner)

    def create_domain(self, domain: int, vcpus: int) -> None:
        """A new domain, at once; its vCPUs wait for a CPU."""
        self.layout.create_domain(domain, vcpus)
        self.refresh()
        for number in range(vcpus):
            v = self.layout.vcpu(domain, number)
            if self.memory.u32(v + self.o.processor) not in self.active:
                self.set_processor(v, self.active[number % len(self.active)])
            wake(self, self.toolstack, v)

    def destroy_domain(self, domain: int) -> None:
        """End a domain."""
        if domain not in {number for number, _ in self.names.values()}:
            raise SimError(f"there is no domain {domain} that could be ended")
        self.order(toolstack.destroy_domain, domain)

    def add_device(self, device: str | int, vectors: int) -> None:
        """A new device is plugged in; nobody owns it."""
        sid = parse_bdf(device) if isinstance(device, str) else device
        self.layout.add_device(sid, vectors)
        self.layout.put("pci_dev", self.layout.device(sid).address, {"type": PCIE_ENDPOINT})
        self.devices[sid] = Device(sid, device_name(sid))
        self.refresh()

    def order(self, procedure: Procedure, *arguments: int) -> None:
        """Have the toolstack run a procedure, after those that it was asked for before."""
        self.toolstack.queue.append(procedure.frame(*arguments))
        self.background = True

    def toolstack_busy(self) -> bool:
        """Whether the toolstack has something to do."""
        return bool(self.toolstack.stack or self.toolstack.queue)

    def _check_cpu(self, cpu: int) -> None:
        if cpu not in self.active:
            raise SimError(f"CPU {cpu} is not there or not online; there are {', '.join(map(str, self.active))}")

    # Looking at it. What Xen or the hardware keeps is read from memory, as an inspector reads it.

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
        from sim_backend.saved import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """The machine that `save` wrote. Raises SimError if the file is damaged or none of these."""
        from sim_backend.saved import read

        return read(Path(path))

    # What procedures ask of the world. Source: as named.

    def get_random(self) -> int:
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        return self.random >> 32

    def below(self, limit: int) -> int:
        """A random number below `limit`."""
        return self.get_random() % limit

    def chance(self, rate: int) -> bool:
        """True `rate` times out of 1024."""
        if not rate:
            return False
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        return (self.random >> 40) % OUT_OF < rate

    def blocking_list(self, cpu: int) -> int:
        try:
            return self.areas[cpu] + self.o.list
        except KeyError:
            raise SimError(f"CPU {cpu} has no per-CPU area") from None

    def blocking_lock(self, cpu: int) -> int:
        try:
            return self.areas[cpu] + self.o.lock
        except KeyError:
            raise SimError(f"CPU {cpu} has no per-CPU area") from None

    def domain_of(self, vcpu: int) -> int:
        known = self.domain_cache.get(vcpu)
        return super().domain_of(vcpu) if known is None else known

    def online_cpus(self) -> list[int]:
        return self.online

    def softirq_pending(self, cpu: int) -> int:
        return self.memory.u32(self.softirqs[cpu])

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        return self.memory.test_and_set_bit(self.softirqs[cpu], number)

    def clear_softirq(self, cpu: int, number: int) -> None:
        """Take a softirq."""
        self.memory.test_and_clear_bit(self.softirqs[cpu], number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        was = self.memory.test_and_set_bit(self.softirqs[actor.cpu], number)
        self.effect = (CPU, actor.cpu, f"softirq {number}", int(was), 1)

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        was = self.memory.test_and_set_bit(self.softirqs[cpu], number)
        if not was and cpu != actor.cpu:
            self.send_ipi(actor, cpu, EVENT_CHECK_VECTOR)
        if self.effect is None:
            self.effect = (CPU, cpu, f"softirq {number}", int(was), 1)

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        self._message_to(cpu, vector)

    def _message_to(self, cpu: int, vector: int) -> None:
        if cpu not in self.online:
            self.lost += 1
            return
        was = self.cpus[cpu].lapic.request(vector)
        if self.effect is None:
            self.effect = (CPU, cpu, f"LAPIC IRR bit {vector:#x}", was, 1)

    def message(self, destination: int, vector: int) -> None:
        """An interrupt message to an APIC ID; one that no CPU has is lost."""
        if destination == BROADCAST[self.layout.config.x2apic]:
            for cpu in list(self.online):
                self._message_to(cpu, vector)
        elif destination in self.by_apic:
            self._message_to(self.by_apic[destination], vector)
        else:
            self.lost += 1

    def end_of_interrupt(self, actor: Any) -> None:
        """EOI at the CPU's local APIC."""
        vector = actor.lapic.end_of_interrupt()
        self.effect = (CPU, actor.cpu, f"LAPIC ISR bit {vector:#x}", 1, 0)

    def ack_apic_irq(self, actor: Actor) -> None:
        self.end_of_interrupt(actor)

    def count_irq(self, actor: Actor) -> None:
        place = self.irq_counts[actor.cpu]
        self.memory.set_u32(place, self.memory.u32(place) + 1 & 0xFFFF_FFFF)

    def set_in_irq(self, actor: Actor, change: int) -> None:
        """Enter or leave an interrupt handler: `__local_irq_count`."""
        actor.in_irq += change
        self.memory.set_u32(self.softirqs[actor.cpu] + LOCAL_IRQ_COUNT, actor.in_irq)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        if vcpu not in self.names:
            raise SimError(f"vcpu_wake of what is no vCPU any more, at {vcpu:#x}")
        wake(self, actor, vcpu)

    def domain_pause(self, actor: Actor, domain: int) -> None:
        actor.call(domain_pause, domain)

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        actor.call(domain_unpause, domain)

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        actor.call(flush_entry, unit, index)

    def status_address(self, unit: int) -> int:
        """Where a unit writes that a wait descriptor is done."""
        return self.status[unit]

    # vCPUs and CPUs.

    def curr_vcpu(self, cpu: int) -> int:
        """The vCPU whose state is loaded on a CPU."""
        return self.curr[cpu]

    def set_curr_vcpu(self, cpu: int, v: int) -> None:
        """Store `curr_vcpu`."""
        self.effect = (CPU, cpu, "curr_vcpu", self.memory.u64(self.curr_vcpus[cpu]), self.virtual(v))
        self.curr[cpu] = v
        self.memory.set_u64(self.curr_vcpus[cpu], self.virtual(v))

    def set_current(self, actor: Actor, v: int) -> None:
        """Store `current`."""
        self.effect = (CPU, actor.cpu, "current", self.virtual(actor.current), self.virtual(v))
        actor.current = v
        self.memory.set_u64(self.info[actor.cpu], self.virtual(v))

    def set_running(self, v: int, running: int) -> None:
        """Store `is_running` of a vCPU and of its scheduling unit."""
        self.memory.set_u8(v + self.o.is_running, running)
        self.memory.set_u8(self._units_of[v] + self._unit_running, running)

    def set_scheduled(self, cpu: int, v: int) -> None:
        """Store what the scheduler chose for a CPU."""
        resource = self.memory.u64(self._units_of[self.idle[cpu]] + self._unit_res)
        self.memory.set_u64(self.physical(resource) + self._resource_curr, self.virtual(self._units_of[v]))

    def set_processor(self, v: int, cpu: int) -> None:
        """Store a vCPU's `processor`."""
        self.memory.set_u32(v + self.o.processor, cpu)
        resource = self.memory.u64(self._units_of[self.idle[cpu]] + self._unit_res)
        self.memory.set_u64(self._units_of[v] + self._unit_res, resource)

    @property
    def _unit_running(self) -> int:
        return self.layout.member("sched_unit", "is_running")

    @property
    def _unit_res(self) -> int:
        return self.layout.member("sched_unit", "res")

    @property
    def _resource_curr(self) -> int:
        return self.layout.member("sched_resource", "curr")

    def look_for_interrupts(self, actor: Actor, v: int) -> None:
        """Call `hvm_vcpu_has_pending_irq`."""
        from sim_backend.cpu import look_for_interrupts

        actor.call(look_for_interrupts, v)

    def start(self, actor: Actor) -> None:
        """Go on with the current vCPU, from the top of the stack. Source: `reset_stack_and_jump`."""
        actor.stack[:] = [(idle_loop if actor.current == self.idle[actor.cpu] else vmx_do_vmentry).frame()]

    def _start_idle(self, actor: Cpu) -> None:
        actor.current = self.idle[actor.cpu]
        actor.irqs = True
        actor.stack[:] = [idle_loop.frame()]

    def enter_guest(self, actor: Any) -> None:
        """VM entry. From now on interrupts are taken whatever the guest has: external-interrupt exiting."""
        actor.guest = True
        actor.irqs = True

    def leave_guest(self, actor: Any) -> None:
        """VM exit."""
        actor.guest = False

    def stop_here(self, cpu: int) -> None:
        """A CPU leaves `cpu_online_map`. Source: `__cpu_disable`."""
        self.layout.offline(cpu)
        self.online.remove(cpu)
        self.cpus[cpu].lapic.clear()
        self.leaving = -1

    def is_dead(self, cpu: int) -> bool:
        """Whether a CPU is offline and does nothing any more."""
        actor = self.cpus[cpu]
        return cpu not in self.online and len(actor.stack) == 1 and self.scheduled[cpu] == self.idle[cpu]

    def bring_up(self, cpu: int) -> None:
        """A CPU comes: per-CPU area, empty blocking list, idle."""
        self.layout.online(cpu)
        self.online = sorted([*self.online, cpu])
        self.active = sorted([*self.active, cpu])
        self.memory.set_u32(self.softirqs[cpu], 0)
        self.scheduled[cpu] = self.curr[cpu] = self.idle[cpu]
        self.tasklets[cpu] = 0
        self._start_idle(self.cpus[cpu])
        self.refresh()

    # Guests.

    def virtual_irr(self, v: int) -> int:
        """Where a vCPU's virtual IRR begins."""
        return self.irrs[v]

    def highest_virtual(self, v: int) -> int:
        """The highest vector in a vCPU's virtual IRR, or -1."""
        raw = int.from_bytes(self.memory.read(self.irrs[v], 0x80), "little")
        if not raw:
            return -1
        top = raw.bit_length() - 1
        return top // 128 * 32 + top % 128

    def take_virtual(self, v: int, vector: int) -> None:
        """The guest takes a virtual interrupt and handles it."""
        place = self.irrs[v] + 16 * (vector >> 5)
        self.memory.set_u32(place, self.memory.u32(place) & ~(1 << (vector & 31)))

    def guest_action(self, v: int) -> int:
        """What the guest does next on a vCPU that makes it leave non-root mode; 0: nothing."""
        orders = self.orders.get(v)
        if orders:
            order = orders.pop(0)
            if len(order) > 1:
                self.ipi_order = order[1:]
            if not orders:
                del self.orders[v]
            return order[0]
        load = self.workload
        if not load.busy:
            return 0
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        draw = (self.random >> 40) % OUT_OF
        if draw < load.halt:
            return HALT
        draw -= load.halt
        if draw < load.hypercall:
            return HYPERCALL
        return SEND_IPI if draw - load.hypercall < load.ipi else 0

    def ipi_target(self, v: int) -> list[int]:
        """Whom the guest sends an interrupt, and which."""
        if self.ipi_order:
            target, self.ipi_order = self.ipi_order, []
            return target
        domain = self.names[v][0]
        others = [other for other, (number, _) in self.names.items() if number == domain]
        return [others[self.below(len(others))], FIRST_GUEST_VECTOR + self.below(GUEST_VECTORS)]

    ipi_order: list[int] = []  # noqa: RUF012 - replaced, never changed

    def random_vcpu(self) -> int:
        """Any guest's vCPU; 0 if there is none."""
        return self.schedulable[self.below(len(self.schedulable))] if self.schedulable else 0

    # Devices and their interrupts.

    def posting(self) -> bool:
        """`iommu_intpost`."""
        return bool(self.memory.u8(self.iommu_intpost))

    def device_name(self, sid: int) -> str:
        """`00:03.0`."""
        return device_name(sid)

    def owner(self, sid: int) -> int | None:
        """The domain that a device is assigned to."""
        return self.owners.get(sid)

    def devices_of(self, domain: int) -> list[int]:
        """The devices that a domain has."""
        return [sid for sid, owner in self.owners.items() if owner == domain]

    def give(self, sid: int, domain: int | None) -> None:
        """Make a domain a device's owner."""
        self.layout.give_device(sid, domain)
        if domain is None:
            self.owners.pop(sid, None)
        else:
            self.owners[sid] = domain

    def reset_device(self, sid: int) -> None:
        """A device stops sending."""
        self.devices[sid].queue.clear()

    def msi_key(self, msi: Msi) -> int:
        """A number for an MSI."""
        return msi.sid << 16 | msi.number

    def bind(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Which vCPU and vector an MSI becomes in a guest: spread over the vCPUs."""
        vcpus = self.layout.domains[domain].vcpus
        v = vcpus[msi.number % len(vcpus)]
        vector = FIRST_GUEST_VECTOR + (msi.number * 8 + msi.number // 24) % GUEST_VECTORS
        self.bindings[self.msi_key(msi)] = v, vector
        return v, vector

    def unbind(self, msi: Msi) -> None:
        """An MSI is no longer a guest's."""
        self.bindings.pop(self.msi_key(msi), None)

    def binding_of(self, key: int) -> tuple[int, int] | None:
        """The vCPU and vector that an MSI is bound to."""
        return self.bindings.get(key)

    def remapped_to_guest(self, vector: int) -> int | None:
        """The MSI that has this physical vector and is bound to a guest."""
        for device in self.layout.devices.values():
            for msi in device.msis:
                if msi.vector == vector and self.msi_key(msi) in self.bindings:
                    return self.msi_key(msi)
        return None

    def compose_message(self, msi: Msi) -> None:
        """Put the host's own message for an MSI into the buffer. Source: `msi_compose_msg`."""
        apic = self.layout.config.apics[self.targets.get(self.msi_key(msi), 0)]
        address = COMPATIBILITY_ADDRESS.build({"prefix": 0xFEE, "dst": apic & 0xFF})
        data = COMPATIBILITY_DATA.build({"vector": msi.vector, "level": LEVEL_ASSERT})
        self.memory.write(self.message_buffer, address + data + apic.to_bytes(4, "little"))

    def forget_domain(self, domain: int) -> None:
        """A domain's pages are freed."""
        for v in self.layout.domains[domain].vcpus:
            for table in (self.events, self.migrating, self.orders):
                table.pop(v, None)
        self.layout.destroy_domain(domain)
        self.refresh()


_LISTS = (
    *("online", "active", "tasklets", "events", "migrating", "bindings", "owners", "targets", "iec"),
    *("next_fault", "names", "curr", "scheduled", "areas", "irq_counts", "curr_vcpus", "status"),
)
_PLAIN = (
    *("draw", "random", "runq", "scheduled", "curr", "tasklets", "dpci", "flush_locked", "flush_mask", "leaving"),
    *("events", "migrating", "orders", "bindings", "owners", "targets", "iec", "next_fault", "online", "active"),
    *("ipi_order", "background"),
)


def _boot_config(config: LayoutConfig, version: Version) -> LayoutConfig:
    """The layout before any device is assigned, with descriptors as this version creates them."""
    devices = tuple(replace(device, domain=0) for device in config.devices)
    return replace(config, devices=devices, ndst_at_creation=version.ndst_at_creation)


def _copy_actor(actor: Any) -> Any:
    other = shallow_copy(actor)
    other.stack = [frame.copy() for frame in actor.stack]
    if hasattr(actor, "queue"):
        other.queue = [item.copy() if isinstance(item, list) else item for item in actor.queue]
    return other


def _parse_vcpu(name: str) -> tuple[int, int] | None:
    domain, _, vcpu = name.removeprefix("d").partition("v")
    return (int(domain), int(vcpu)) if name[:1] == "d" and domain.isdecimal() and vcpu.isdecimal() else None


def device_name(sid: int) -> str:
    """`00:03.0`."""
    return f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"
