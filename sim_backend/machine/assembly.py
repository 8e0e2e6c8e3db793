"""How the parts of a machine come together."""

from __future__ import annotations

from sim_backend.layout.layout import Layout
from sim_backend.logic.actors import Device, Toolstack, Unit
from sim_backend.logic.addresses import areas
from sim_backend.logic.chance import Drawn
from sim_backend.logic.context import LogicContext
from sim_backend.logic.cpu import BufferedCpu, Cpu
from sim_backend.logic.guests import Guests
from sim_backend.logic.kinds import copied, held_fields
from sim_backend.logic.passthrough import Passthrough
from sim_backend.logic.program import Actor
from sim_backend.logic.services import Services
from sim_backend.logic.state import State
from sim_backend.logic.store_buffers import BufferedMemory, StoreBuffer
from sim_backend.logic.versions import Version
from sim_backend.logic.vtd_engine import Remapping
from sim_backend.logic.workload import Workload

MACHINE = "machine"
"""What the state is called among the records."""


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
    _add_store_buffers(w)
    cpu = BufferedCpu if w.buffered is not None else Cpu
    w.cpus = [cpu.of(layout.memory, number) for number in range(layout.config.cpus)]
    w.drains = [StoreBuffer.of(number) for number in range(len(state.buffers))]
    w.devices = {sid: Device.of(sid) for sid in layout.devices}
    w.units = [Unit.of(number) for number in range(len(layout.units))]
    w.remapping = [Remapping(layout, number) for number in range(len(layout.units))]
    w.toolstack = Toolstack.idle()
    add_services(w)
    w.refresh()
    return w


def add_services(w: LogicContext) -> None:
    """Give the parts what procedures ask for."""
    w.services = services = Services(w)
    w.calls = services
    w.guests = Guests(w)
    w.passthrough = Passthrough(w)


def duplicated(w: LogicContext) -> LogicContext:
    """The same parts in the same state, which go their own way; nobody is outside yet."""
    other = LogicContext.__new__(LogicContext)
    for name in LogicContext.__slots__:
        setattr(other, name, getattr(w, name))
    other.layout = layout = w.layout.copy()
    other.memory = layout.memory
    other.virtual, other.physical = layout.virtual, layout.physical
    other.state = state = copied(w.state)
    other.chance = Drawn(state)
    _add_store_buffers(other)
    other.cpus = [copied(cpu) for cpu in w.cpus]
    for cpu in other.cpus:
        cpu.lapic = copied(cpu.lapic)
        cpu.lapic.memory = layout.memory
    other.drains = [copied(drain) for drain in w.drains]
    other.devices = {sid: copied(device) for sid, device in w.devices.items()}
    other.units = [copied(unit) for unit in w.units]
    other.toolstack = copied(w.toolstack)
    add_services(other)
    return other


def records(w: LogicContext, actors: list[Actor]) -> dict[str, object]:
    """Everything whose fields are declared with `held`: the machine's state, by name, beside memory."""
    apics = {apic_name(cpu): cpu.lapic for cpu in w.cpus}
    return {MACHINE: w.state, **{actor.name: actor for actor in actors}, **apics}


def apic_name(cpu: Cpu) -> str:
    """What a CPU's local APIC is called among the records."""
    return f"local APIC of {cpu.name}"


def _add_store_buffers(w: LogicContext) -> None:
    if w.state.buffers:
        w.memory = w.buffered = BufferedMemory(w.layout.memory, w.state)
