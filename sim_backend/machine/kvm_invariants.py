"""What must hold at every step of a run of a machine with Linux and KVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim_backend.logic.context import ON, SN
from sim_backend.logic.kvm.context import (
    EXITING_GUEST_MODE,
    IN_GUEST_MODE,
    POSTED_INTR_VECTOR,
    POSTED_INTR_WAKEUP_VECTOR,
    TASK_RUNNING,
)
from sim_backend.logic.kvm.cpu import wakeup as wakeup_interrupt
from sim_backend.logic.kvm.deliver import vmx_deliver_posted_interrupt
from sim_backend.logic.kvm.posted_intr import (
    pi_enable_wakeup_handler,
    vmx_vcpu_pi_load,
    vmx_vcpu_pi_put,
)
from sim_backend.logic.kvm.wake import kvm_make_request, kvm_vcpu_kick, kvm_vcpu_wake_up
from sim_backend.machine.checks import interrupt_under_way, listed, under_way, unsound_descriptors, unsound_queues
from sim_backend.machine.kvm import KvmMachine
from structs.apic import apic_id
from structs.frozen import frozen

Check = Callable[[KvmMachine], Iterator[str]]
SN_MASK = 1 << SN


@frozen
class KvmInvariant:
    """A check that holds whatever happens."""

    name: str
    check: Check


def problems(machine: KvmMachine) -> list[str]:
    """What does not hold now, a line each."""
    return [f"{invariant.name}: {line}" for invariant in KVM_INVARIANTS for line in invariant.check(machine)]


def _descriptors(m: KvmMachine) -> Iterator[str]:
    return unsound_descriptors(m, (POSTED_INTR_VECTOR, POSTED_INTR_WAKEUP_VECTOR))


def nodes(m: KvmMachine, cpu: int) -> Iterator[int]:
    """The vCPUs on a CPU's wakeup list. Raises SimError if it is not circular."""
    return listed(m, m.context.addresses.lists[cpu], f"CPU {cpu}'s wakeup list")


def lists_problems(m: KvmMachine) -> Iterator[str]:
    """What is wrong with the wakeup lists that nobody holds the lock of."""
    found: dict[int, int] = {}
    held = [cpu for cpu in range(len(m.cpus)) if m.memory.u32(m.context.addresses.locks[cpu])]
    for cpu in range(len(m.cpus)):
        if cpu in held:
            continue
        for v in nodes(m, cpu):
            if v not in m.names:
                yield f"CPU {cpu}'s list has a node at {v + m.o.node:#x} that is no vCPU's"
                continue
            if v in found:
                yield f"{m.vcpu_name(v)} is on two lists"
            elif m.memory.u32(v + m.o.cpu) != cpu:
                yield f"{m.vcpu_name(v)} is on CPU {cpu}'s list, but was loaded elsewhere"
            elif not _wakes(m, v) and not _changes(m, v):
                yield f"{m.vcpu_name(v)} is on a list, and NV is no wakeup vector"
            found[v] = cpu
    if not held:
        for v in m.names:
            if _wakes(m, v) and v not in found and not _changes(m, v):
                yield f"{m.vcpu_name(v)} has the wakeup vector and is on no list"


def _wakes(m: KvmMachine, v: int) -> bool:
    return m.memory.u8(v + m.o.nv) == POSTED_INTR_WAKEUP_VECTOR


_CHANGERS = frozenset(each.number for each in (vmx_vcpu_pi_load, vmx_vcpu_pi_put, pi_enable_wakeup_handler))


def _changes(m: KvmMachine, v: int) -> bool:
    """Whether a vCPU is being loaded or put."""
    return under_way(m, _CHANGERS, v)


def _in_guest(m: KvmMachine) -> Iterator[str]:
    for cpu in m.cpus:
        if not cpu.guest:
            continue
        v, name = cpu.current, m.vcpu_name(cpu.current)
        if m.memory.u8(v + m.o.nv) != POSTED_INTR_VECTOR:
            yield f"{name} is in the guest with NV {m.memory.u8(v + m.o.nv):#x}"
        if m.memory.u8(v + m.o.control) & SN_MASK:
            yield f"{name} is in the guest with SN set"
        if m.memory.u32(v + m.o.ndst) != m.context.addresses.destinations[cpu.cpu]:
            yield f"{name} is in the guest on CPU {cpu.cpu} with NDST {m.memory.u32(v + m.o.ndst):#x}"
        if m.memory.u32(v + m.o.cpu) != cpu.cpu:
            yield f"{name} is in the guest on CPU {cpu.cpu}, which is not its CPU"
        if m.memory.u32(v + m.o.mode) not in (IN_GUEST_MODE, EXITING_GUEST_MODE):
            yield f"{name} is in the guest, and its mode is not"
        if not m.context.services.runs_here(cpu, v):
            yield f"{name} is in the guest, and not the vCPU that runs there"


def sleeps(m: KvmMachine, v: int) -> bool:
    """Whether a vCPU's thread sleeps, and has left its CPU."""
    said_so = m.memory.u32(m.context.addresses.tasks[v] + m.o.task_state) != TASK_RUNNING
    somewhere = v in m.state.scheduled or any(v in queue for queue in m.state.runq)
    return said_so and not somewhere and not m.context.services.is_on_cpu(v)


def can_be_woken(m: KvmMachine, v: int) -> bool:
    """Whether a vCPU that sleeps went to sleep when devices could post to it, with interrupts enabled."""
    return sleeps(m, v) and _wakes(m, v)


def _blocked(m: KvmMachine) -> Iterator[str]:
    for v in m.names:
        if not can_be_woken(m, v):
            continue
        name, cpu = m.vcpu_name(v), m.memory.u32(v + m.o.cpu)
        if m.memory.u8(v + m.o.control) & SN_MASK:
            yield f"{name} is blocked with SN set"
        if m.memory.u32(v + m.o.ndst) != m.context.addresses.destinations[cpu]:
            yield f"{name} is on CPU {cpu}'s list with NDST {m.memory.u32(v + m.o.ndst):#x}"
        if not m.memory.u64(v + m.o.wait):
            yield f"{name} sleeps on a wakeup list, and nobody is said to wait"
        on = m.memory.u8(v + m.o.control) >> ON & 1
        if on and not _wakeup_on_its_way(m, v) and not under_way(m, _WAKERS, v):
            yield f"{name} is blocked with ON set, and no wakeup interrupt is on its way"


_WAKERS = frozenset(
    each.number for each in (kvm_vcpu_wake_up, kvm_vcpu_kick, kvm_make_request, vmx_deliver_posted_interrupt)
)


def _wakeup_on_its_way(m: KvmMachine, v: int) -> bool:
    owner = m.context.addresses.by_apic.get(apic_id(m.memory.u32(v + m.o.ndst), m.layout.config.x2apic))
    return owner is not None and interrupt_under_way(m, owner, POSTED_INTR_WAKEUP_VECTOR, wakeup_interrupt)


def _threads(m: KvmMachine) -> Iterator[str]:
    queued = [v for queue in m.state.runq for v in queue]
    yield from unsound_queues(m, "thread")
    for cpu in m.cpus:
        task = m.context.addresses.tasks.get(cpu.current, m.context.addresses.idle[cpu.cpu])
        if m.memory.u64(m.context.addresses.current[cpu.cpu]) != m.context.virtual(task):
            yield f"CPU {cpu.cpu}'s current task"
    for v in m.names:
        there = (v in m.state.scheduled) + (v in queued) + sleeps(m, v)
        leaving = m.context.services.leaves_cpu(v)
        if there != 1 and not leaving:
            yield f"{m.vcpu_name(v)}'s thread is in {there} places"


KVM_INVARIANTS = (
    KvmInvariant("descriptors are sound", _descriptors),
    KvmInvariant("lists are sound", lists_problems),
    KvmInvariant("in the guest the descriptor is as it is to be", _in_guest),
    KvmInvariant("who is blocked can be woken", _blocked),
    KvmInvariant("a thread is in one place", _threads),
)
