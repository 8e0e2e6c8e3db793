"""A state of the search as a machine of its own: what only mirrors something is there again, counts are as at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim_backend.explore.fields import Fields
from sim_backend.explore.freeze import thaw
from sim_backend.explore.model import Key, Value
from sim_backend.explore.tracked import ATTRIBUTES, TrackedMachine
from sim_backend.explore.tracked_actors import IN_IRQ, IRQS, QUEUE, RESULT, STACK
from sim_backend.layout import cpus
from sim_backend.logic.pi import LOCAL_IRQ_COUNT
from sim_backend.logic.vtd_engine import LAPIC_IRR, LAPIC_ISR
from sim_backend.machine.machine import Machine

REGISTERS = range(0, 256, 32)


def values(fields: Fields, row: Any) -> dict[Key, Value]:
    """What the keys that have a field are in a state."""
    numbers = (row[fields.word] >> fields.shift & fields.mask).tolist()
    return {
        key: fields.values[field][number] for field, (key, number) in enumerate(zip(fields.keys, numbers, strict=True))
    }


def materialised(tracked: TrackedMachine, state: Mapping[Key, Value]) -> Machine:
    """The machine in a state, ready to go on by itself.

    As after a history that leads there, but for what counts for ever: interrupts, steps, how often a lock was taken;
    and the order of a domain's devices.
    """
    machine: Any = tracked.base.copy()
    actors = {actor.name: actor for actor in machine.actors}
    for key, value in state.items():
        if isinstance(key, int):
            machine.memory.set_u64(key, value)
        elif isinstance(key, str):
            if key in actors:
                _put_doing(actors[key], value)
            elif key in ATTRIBUTES and key not in ("areas", "owners"):
                setattr(machine, key, thaw(value))
        elif isinstance(key, tuple) and key[0] == "lapic":
            machine.cpus[key[1]].lapic.irr, machine.cpus[key[1]].lapic.isr = value
        elif isinstance(key, tuple) and key[0] == "curr":
            machine.curr[key[1]] = value
        elif isinstance(key, tuple) and key[0] == "where":
            _put_where(actors[key[1]], value)
        elif isinstance(key, tuple) and key[0] == "buffer":
            machine.buffers[key[1]] = list(value)
    machine.bindings = {key: tuple(map(tuple, pairs)) for key, pairs in machine.bindings.items()}
    machine.background = True
    _mirror_layout(machine, thaw(state.get("areas")), thaw(state.get("owners")))
    _mirror_cpus(machine)
    _mirror_vcpus(machine, tracked.base)
    return machine  # type: ignore[no-any-return]


def _put_doing(actor: Any, value: Any) -> None:
    doing = thaw(value)
    actor.stack, actor.result = doing[STACK], doing[RESULT]
    actor.in_irq, actor.irqs = doing[IN_IRQ], doing[IRQS]
    if hasattr(actor, "queue"):
        actor.queue = doing[QUEUE]


def _put_where(actor: Any, value: Any) -> None:
    actor.current = value[0]
    if hasattr(actor, "guest"):
        actor.guest = value[1]


def _mirror_layout(machine: Any, areas: dict[int, int] | None, owners: dict[int, int] | None) -> None:
    layout = machine.layout
    for cpu in range(layout.config.cpus):
        cpus.set_online(layout, cpu, cpu in machine.online)
        if areas is not None and cpu in machine.areas and cpu not in areas:
            layout.free_percpu(cpu)
    for sid in machine.devices:
        if owners is not None and (owner := owners.get(sid)) != machine.owners.get(sid):
            machine.give(sid, owner)
    machine.refresh()


def _mirror_cpus(machine: Any) -> None:
    memory, virtual = machine.memory, machine.virtual
    for actor in machine.cpus:
        number, lapic = actor.cpu, actor.lapic
        for vector in REGISTERS:
            lapic._store(LAPIC_IRR, vector, lapic.irr)
            lapic._store(LAPIC_ISR, vector, lapic.isr)
        memory.set_u64(machine.info[number], virtual(actor.current))
        memory.set_u32(machine.softirqs[number] + LOCAL_IRQ_COUNT, actor.in_irq)
        if number in machine.curr_vcpus:
            memory.set_u64(machine.curr_vcpus[number], virtual(machine.curr[number]))
        machine.set_scheduled(number, machine.scheduled[number])


def _mirror_vcpus(machine: Any, base: Any) -> None:
    memory, o = machine.memory, machine.o
    for v in (*machine.names, *machine.idle):
        machine.set_running(v, memory.u8(v + o.is_running))
        cpu = memory.u32(v + o.processor)
        if cpu != base.memory.u32(v + o.processor):
            machine.set_processor(v, cpu)
