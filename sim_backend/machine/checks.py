"""What invariants look at, whatever hypervisor runs: descriptors, lists, who is under way."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from sim_backend.logic.program import FIRST, PC, PROCEDURE, Procedure
from sim_backend.logic.vtd_engine import DESCRIPTOR_RESERVED, VECTOR, interrupt_request, send
from sim_backend.machine.engine import Engine
from sim_backend.memory.errors import SimError
from structs.pi_desc import PI_DESC

LIST_LIMIT = 4096


def unsound_descriptors(m: Engine[Any], vectors: Container[int]) -> Iterator[str]:
    """vCPUs whose descriptor has reserved bits, or a vector that is none of these in NV."""
    for v in m.names:
        raw = int.from_bytes(m.memory.read(v + m.context.o.pi_desc, PI_DESC.size), "little")
        if raw & DESCRIPTOR_RESERVED:
            yield f"{m.vcpu_name(v)}: reserved bits {raw & DESCRIPTOR_RESERVED:#x}"
        if PI_DESC["nv"].extract(raw) not in vectors:
            yield f"{m.vcpu_name(v)}: NV is {PI_DESC['nv'].extract(raw):#x}"


def listed(m: Engine[Any], head: int, name: str) -> Iterator[int]:
    """The vCPUs on the list with that head, which `name` says. Raises SimError if it is not circular."""
    o, physical = m.context.o, m.context.physical
    node = before = head
    for _ in range(LIST_LIMIT):
        node = physical(m.memory.u64(node + o.list_next))
        if physical(m.memory.u64(node + o.list_prev)) != before:
            raise SimError(f"{name}: prev of {node:#x} is not {before:#x}")
        if node == head:
            return
        yield node - o.node
        before = node
    raise SimError(f"{name} has no end")


def under_way(m: Engine[Any], procedures: Container[int], v: int) -> bool:
    """Whether anybody is in one of these procedures for a vCPU."""
    return any(frame[PROCEDURE] in procedures and frame[FIRST] == v for actor in m.actors for frame in actor.stack)


def interrupt_under_way(m: Engine[Any], owner: int, vector: int, handler: Procedure) -> bool:
    """Whether a CPU has a vector pending or in service, handles it, or a device is about to send it."""
    cpu = m.cpus[owner]
    if (cpu.lapic.irr | cpu.lapic.isr) >> vector & 1:
        return True
    if any(frame[PROCEDURE] == handler.number for frame in cpu.stack):
        return True
    sending = (interrupt_request.number, send.pc, vector)
    frames = (frame for device in m.context.devices.values() for frame in device.stack)
    return any((frame[PROCEDURE], frame[PC], frame[VECTOR]) == sending for frame in frames)


def unsound_queues(m: Engine[Any], who: str) -> Iterator[str]:
    """What is wrong with who waits for a CPU and who runs; `who` says what they are."""
    queued = [v for queue in m.state.runq for v in queue]
    if len(queued) != len(set(queued)):
        yield f"a {who} waits in two queues"
    if set(queued) & set(m.state.scheduled):
        yield f"a {who} waits and runs"
