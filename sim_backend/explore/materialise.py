"""A state of the search as a machine of its own: what only mirrors something is there again, counts are as at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim_backend.explore.fields import Fields
from sim_backend.explore.model import Key, Value
from sim_backend.explore.tracked import AnyTracked
from sim_backend.explore.tracked_records import parts_of, put_part
from sim_backend.layout import cpus
from sim_backend.logic.kinds import held_fields
from sim_backend.logic.pi import LOCAL_IRQ_COUNT
from sim_backend.machine.boot import AnyMachine
from sim_backend.machine.machine import Machine


def values(fields: Fields, row: Any) -> dict[Key, Value]:
    """What the keys that have a field are in a state."""
    numbers = (row[fields.word] >> fields.shift & fields.mask).tolist()
    return {
        key: fields.values[field][number] for field, (key, number) in enumerate(zip(fields.keys, numbers, strict=True))
    }


def materialised(tracked: AnyTracked, state: Mapping[Key, Value]) -> AnyMachine:
    """The machine in a state, ready to go on by itself.

    As after a history that leads there, but for what counts for ever: interrupts, steps, how often a lock was taken;
    and the order of a domain's devices.
    """
    machine: AnyMachine = tracked.base.copy()
    records = machine.records
    for key, value in state.items():
        if isinstance(key, int):
            machine.memory.set_u64(key, value)
        elif key[0] in records:
            _put(records[key[0]], key[1:], value)
    machine.state.background = True
    if isinstance(machine, Machine):
        assert isinstance(tracked.base, Machine)
        _mirror_layout(machine, tracked.base)
        _mirror_cpus(machine)
        _mirror_vcpus(machine, tracked.base)
    else:
        for cpu in machine.cpus:
            cpu.lapic.store()
            machine.context.services.set_current(cpu, cpu.current)
    return machine


def _put(record: object, where: tuple[Any, ...], value: Value) -> None:
    """Put the value of a key into the record that it is of."""
    name, *place = where
    if place:
        (field,) = (each for each in held_fields(type(record)) if each.name == name)
        getattr(record, name)[place[0]] = field.kind.item.thaw(value)  # type: ignore[attr-defined]
    else:
        (part,) = (part for part in parts_of(type(record)) if part[0].part == name)
        put_part(record, part, value)


def _mirror_layout(machine: Machine, base: Machine) -> None:
    layout = machine.layout
    for cpu in range(layout.config.cpus):
        cpus.set_online(layout, cpu, cpu in machine.state.online)
        if cpu in base.state.areas and cpu not in machine.state.areas:
            layout.free_percpu(cpu)
    for sid in machine.context.devices:
        owner = machine.state.owners.get(sid)
        if owner != base.state.owners.get(sid):
            layout.give_device(sid, owner)


def _mirror_cpus(machine: Machine) -> None:
    w, memory = machine.context, machine.memory
    at = w.addresses
    for cpu in w.cpus:
        number = cpu.cpu
        cpu.lapic.store()
        memory.set_u64(at.current[number], w.virtual(cpu.current))
        memory.set_u32(at.softirqs[number] + LOCAL_IRQ_COUNT, cpu.in_irq)
        if number in w.state.areas:
            memory.set_u64(w.state.areas[number] + at.curr_vcpu, w.virtual(w.state.curr[number]))
        w.services.set_scheduled(number, w.state.scheduled[number])


def _mirror_vcpus(machine: Machine, base: Machine) -> None:
    w, memory, o = machine.context, machine.memory, machine.o
    for v in (*machine.names, *w.addresses.idle):
        w.services.set_running(v, memory.u8(v + o.is_running))
        cpu = memory.u32(v + o.processor)
        if cpu != base.memory.u32(v + o.processor):
            w.services.set_processor(v, cpu)
