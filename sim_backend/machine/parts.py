"""A machine's parts: how they come together, and how they are named."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sim_backend.layout.devices import Msi
from sim_backend.layout.layout import Layout
from sim_backend.logic.actors import Device, Toolstack, Unit
from sim_backend.logic.context import DEVICE, DOMAIN, ENTRY, UNIT, VCPU, Context, LogicContext, Offsets, areas
from sim_backend.logic.cpu import BufferedCpu, Cpu
from sim_backend.logic.guests import Domains
from sim_backend.logic.kinds import copied, held_fields
from sim_backend.logic.passthrough import Passthrough
from sim_backend.logic.program import Actor
from sim_backend.logic.services import Services
from sim_backend.logic.state import State
from sim_backend.logic.store_buffers import BufferedMemory, StoreBuffer
from sim_backend.logic.versions import Version
from sim_backend.logic.vtd_engine import Remapping
from sim_backend.logic.workload import Drawn, Workload
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import Memory
from sim_backend.memory.naming import VcpuName, device_name, parse_vcpu
from sim_backend.scenario.scenario import parse_bdf

if TYPE_CHECKING:
    from sim_backend.machine.outside import Outside

W = TypeVar("W", bound=Context)

MACHINE = "machine"
"""What the state is called among the records."""


class Parts(Generic[W]):
    """What a machine is made of.

    Attributes:
        environment: the class whose methods are the orders that it can be given.
        context: the parts, as the logic sees them.
    """

    __slots__ = ("context",)

    environment: ClassVar[type[Parts[Any]]]
    context: W

    @property
    def memory(self) -> Memory:
        """Memory as procedures see it: everything that software or the hardware keeps is there."""
        return self.context.memory

    @property
    def state(self) -> State:
        """What is neither in memory nor an actor's."""
        return self.context.state

    @property
    def cpus(self) -> list[Cpu]:
        """The physical CPUs."""
        return self.context.cpus

    @property
    def names(self) -> dict[int, tuple[int, int]]:
        """By guest's vCPU, its domain and number."""
        return self.context.addresses.names

    def attach(self, w: W) -> None:
        """Give a context of this kind of machine what its procedures ask for."""
        raise NotImplementedError

    def where(self, cpu: int) -> str:
        """`guest`, `idle`, or the function that a CPU is about to begin, or is in (`vmx_vcpu_block+3`: 3 steps in)."""
        raise NotImplementedError

    def cpu_of(self, v: int) -> int:
        """The CPU where a vCPU runs, or was last."""
        raise NotImplementedError

    def is_paused(self, v: int) -> bool:
        """Whether a vCPU is paused by itself."""
        raise NotImplementedError

    def happen(self, outside: Outside, name: str) -> bool:
        """Have the outside world do what the workload calls `name`; False if it cannot be now."""
        raise NotImplementedError

    def name_of(self, kind: int, subject: int) -> str:
        """A thing's name, for people."""
        if kind == VCPU:
            return self.vcpu_name(subject)
        if kind == DEVICE:
            return f"device {device_name(subject)}"
        if kind == ENTRY:
            return f"unit {subject >> 16} entry {subject & 0xFFFF}"
        return f"{'unit' if kind == UNIT else 'CPU'} {subject}"

    def vcpu_name(self, v: int) -> str:
        """`d1v0`, or an address that is no vCPU's."""
        return "d{}v{}".format(*self.names[v]) if v in self.names else f"freed vCPU at {v:#x}"

    def vcpu(self, name: VcpuName) -> int:
        """A vCPU's address by its name. Raises SimError if there is none."""
        if isinstance(name, int):
            pair = self.names.get(name)
        elif isinstance(name, str):
            pair = parse_vcpu(name)
        else:
            pair = name
        for v, known in self.names.items():
            if known == pair:
                return v
        raise SimError(f"there is no vCPU {name}; there are {', '.join(map(self.vcpu_name, self.names))}")

    def binding_in(self, msi: Msi, domain: int) -> tuple[int, int]:
        """Which vCPU and vector an MSI becomes in a guest."""
        raise NotImplementedError

    def sid(self, device: str | int) -> int:
        """A device's source-id by its name. Raises SimError if there is none."""
        sid = parse_bdf(device) if isinstance(device, str) else device
        if sid not in self.context.devices:
            known = ", ".join(map(device_name, self.context.devices)) or "none"
            raise SimError(f"there is no device {device_name(sid)}; there are: {known}")
        return sid


class XenParts(Parts[LogicContext]):
    """What a machine with Xen is made of."""

    __slots__ = ()

    @property
    def layout(self) -> Layout:
        """How Xen's memory is laid out; what others see of memory is its `memory`."""
        return self.context.layout

    @property
    def o(self) -> Offsets:
        """Where members lie in Xen's structures."""
        return self.context.o

    @property
    def version(self) -> Version:
        """The version of the logic."""
        return self.context.version

    def attach(self, w: LogicContext) -> None:
        """As Parts."""
        add_services(w)

    def cpu_of(self, v: int) -> int:
        """As Parts."""
        return self.memory.u32(v + self.o.processor)

    def binding_in(self, msi: Msi, domain: int) -> tuple[int, int]:
        """As Parts."""
        return self.context.passthrough.binding_in(msi, domain)

    def is_paused(self, v: int) -> bool:
        """As Parts."""
        return self.memory.u32(v + self.o.pause_count) != 0

    def name_of(self, kind: int, subject: int) -> str:
        """As Parts."""
        if kind == DOMAIN:
            numbers = [number for number, domain in self.layout.domains.items() if domain.address == subject]
            return f"d{numbers[0]}" if numbers else f"domain at {subject:#x}"
        return super().name_of(kind, subject)

    def vcpu_name(self, v: int) -> str:
        """`d1v0`, `idle 2`, or an address that is no vCPU's."""
        idle = self.context.addresses.idle
        return f"idle {idle.index(v)}" if v in idle else super().vcpu_name(v)


def assembled(layout: Layout, version: Version, state: State, workload: Workload) -> LogicContext:
    """The parts around a layout and a state; its actors have nothing to do, and nobody is outside yet.

    There are store buffers if the state has some.

    Raises:
        TypeError: a field of the state is not declared.
    """
    held_fields(type(state))
    w = LogicContext(layout, version, state, Drawn(state))
    w.workload = workload
    state.areas = areas(layout)
    put_together(w)
    add_services(w)
    w.refresh()
    return w


def put_together(w: Context) -> None:
    """The hardware of a machine whose context is new; its actors have nothing to do."""
    layout, state = w.layout, w.state
    add_store_buffers(w)
    cpu = BufferedCpu if w.buffered is not None else Cpu
    w.cpus = [cpu.of(layout.memory, number) for number in range(layout.config.cpus)]
    w.drains = [StoreBuffer.of(number) for number in range(len(state.buffers))]
    w.devices = {sid: Device.of(sid) for sid in layout.devices}
    w.units = [Unit.of(number) for number in range(len(layout.units))]
    w.remapping = [Remapping(layout, number) for number in range(len(layout.units))]
    w.toolstack = Toolstack.idle()


def add_services(w: LogicContext) -> None:
    """Give the parts what procedures ask for."""
    w.services = services = Services(w)
    w.calls = services
    w.guests = Domains(w)
    w.passthrough = Passthrough(w)


def duplicated(w: W, attach: Callable[[W], None]) -> W:
    """The same parts in the same state, which go their own way; nobody is outside yet. `attach`: as Parts.attach."""
    other = copy(w)
    other.layout = layout = w.layout.copy()
    other.memory = layout.memory
    other.virtual, other.physical = layout.virtual, layout.physical
    other.state = state = copied(w.state)
    other.chance = Drawn(state)
    add_store_buffers(other)
    other.cpus = [copied(cpu) for cpu in w.cpus]
    for cpu in other.cpus:
        cpu.lapic = copied(cpu.lapic)
        cpu.lapic.memory = layout.memory
    other.drains = [copied(drain) for drain in w.drains]
    other.devices = {sid: copied(device) for sid, device in w.devices.items()}
    other.units = [copied(unit) for unit in w.units]
    other.toolstack = copied(w.toolstack)
    attach(other)
    return other


def records(w: Context, actors: list[Actor]) -> dict[str, object]:
    """Everything whose fields are declared with `held`: the machine's state, by name, beside memory."""
    apics = {apic_name(cpu): cpu.lapic for cpu in w.cpus}
    return {MACHINE: w.state, **{actor.name: actor for actor in actors}, **apics}


def apic_name(cpu: Cpu) -> str:
    """What a CPU's local APIC is called among the records."""
    return f"local APIC of {cpu.name}"


def add_store_buffers(w: Context) -> None:
    if w.state.buffers:
        w.memory = w.buffered = BufferedMemory(w.layout.memory, w.state)
