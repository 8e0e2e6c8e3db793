"""What must hold at every step of a run, by version and by what happens in it.

Some of it does not hold for the first version: CPUs that go offline and devices that leave break it there, as they did
in Xen. And some does not hold in the model of the current one while a CPU goes offline. `applicable` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sim_backend.logic.cpu import vmx_do_vmentry
from sim_backend.logic.pi import (
    PI_CSW_FROM,
    SN_MASK,
    VPF_BLOCKED,
    pi_wakeup_interrupt,
    vcpu_kick,
    vcpu_unblock,
    vmx_deliver_posted_interrupt,
    vmx_deliver_posted_intr,
    vmx_pi_unblock_vcpu,
)
from sim_backend.logic.program import FIRST, PROCEDURE
from sim_backend.logic.versions import Version
from sim_backend.logic.workload import Workload
from sim_backend.machine.checks import interrupt_under_way, listed, under_way, unsound_descriptors, unsound_queues
from sim_backend.machine.machine import Machine
from structs.apic import apic_id
from structs.frozen import frozen

Check = Callable[[Machine], Iterator[str]]


@frozen
class Invariant:
    """A check, and under which workloads it holds for a version: `holds(version, workload)`."""

    name: str
    check: Check
    holds: Callable[[Version, Workload], bool]


def problems(machine: Machine, chosen: tuple[Invariant, ...]) -> list[str]:
    """What does not hold now, a line each."""
    return [f"{invariant.name}: {line}" for invariant in chosen for line in invariant.check(machine)]


def applicable(version: Version, workload: Workload) -> tuple[Invariant, ...]:
    """The invariants that hold for a version under a workload."""
    return tuple(invariant for invariant in INVARIANTS if invariant.holds(version, workload))


def _descriptors(m: Machine) -> Iterator[str]:
    context = m.context
    return unsound_descriptors(m, (m.memory.u8(context.posted_intr_vector), m.memory.u8(context.pi_wakeup_vector)))


def _locks(m: Machine) -> Iterator[str]:
    for cpu in m.state.areas:
        word = m.memory.u32(m.context.blocking_lock(cpu))
        if (word >> 16) - (word & 0xFFFF) & 0xFFFF > 1:
            yield f"CPU {cpu}'s lock: {word:#x}"


def _lists(m: Machine) -> Iterator[str]:
    found: dict[int, int] = {}
    for cpu in m.state.areas:
        if _held(m, cpu):
            continue
        for v in nodes(m, cpu):
            if v not in m.names:
                yield f"CPU {cpu}'s list has a node at {v + m.o.node:#x} that is no vCPU's"
            elif v in found:
                yield f"{m.vcpu_name(v)} is on two lists"
            elif m.memory.u64(v + m.o.node_lock) != m.context.virtual(m.context.blocking_lock(cpu)):
                yield f"{m.vcpu_name(v)} is on CPU {cpu}'s list, but its lock pointer is another one"
            found[v] = cpu
    if not any(_held(m, cpu) for cpu in m.state.areas):
        for v in m.names:
            if m.memory.u64(v + m.o.node_lock) and v not in found:
                yield f"{m.vcpu_name(v)} has a lock pointer and is on no list"


def nodes(m: Machine, cpu: int) -> Iterator[int]:
    """The vCPUs on a CPU's blocking list. Raises SimError if it is not circular."""
    return listed(m, m.context.blocking_list(cpu), f"CPU {cpu}'s blocking list")


def _held(m: Machine, cpu: int) -> bool:
    word = m.memory.u32(m.context.blocking_lock(cpu))
    return word >> 16 != word & 0xFFFF


def _in_guest(m: Machine) -> Iterator[str]:
    """The commit's own words: before VM entry NV is the notification vector and the vCPU on no blocking list."""
    p = m.memory.u8(m.context.posted_intr_vector)
    for cpu in m.cpus:
        v = cpu.current
        if not cpu.guest or not m.memory.u64(m.context.domain_of(v) + m.o.block_hook):
            continue
        name = m.vcpu_name(v)
        if m.memory.u8(v + m.o.nv) != p:
            yield f"{name} is in the guest with NV {m.memory.u8(v + m.o.nv):#x}"
        if m.memory.u64(v + m.o.node_lock):
            yield f"{name} is in the guest and on a blocking list"
        if m.memory.u8(v + m.o.control) & SN_MASK:
            yield f"{name} is in the guest with SN set"


def _guest_destination(m: Machine) -> Iterator[str]:
    for cpu in m.cpus:
        v = cpu.current
        hooked = cpu.guest and m.memory.u64(m.context.domain_of(v) + m.o.block_hook)
        if hooked and m.memory.u32(v + m.o.ndst) != m.context.destination(cpu.cpu):
            yield f"{m.vcpu_name(v)} is in the guest on CPU {cpu.cpu} with NDST {m.memory.u32(v + m.o.ndst):#x}"


def _blocked(m: Machine) -> Iterator[str]:
    wakeup = m.memory.u8(m.context.pi_wakeup_vector)
    for cpu in m.state.areas:
        if _held(m, cpu):
            continue
        for v in nodes(m, cpu):
            if not settled(m, v) or under_way(m, (vmx_pi_unblock_vcpu.number,), v):
                continue
            name = m.vcpu_name(v)
            if m.memory.u8(v + m.o.nv) != wakeup:
                yield f"{name} is blocked with NV {m.memory.u8(v + m.o.nv):#x}"
            if m.memory.u8(v + m.o.control) & SN_MASK:
                yield f"{name} is blocked with SN set"
            if m.memory.u32(v + m.o.ndst) != m.context.destination(cpu):
                yield f"{name} is on CPU {cpu}'s list with NDST {m.memory.u32(v + m.o.ndst):#x}"


def settled(m: Machine, v: int) -> bool:
    """Whether a vCPU is blocked and switched out."""
    return bool(m.memory.u32(v + m.o.pause_flags) & 1 << VPF_BLOCKED) and not m.memory.u8(v + m.o.is_running)


def _listed(m: Machine) -> Iterator[str]:
    for v in m.names:
        domain = m.context.domain_of(v)
        hooked = m.memory.u64(domain + m.o.block_hook) and m.memory.u32(domain + m.o.pi_flags) & PI_CSW_FROM
        if hooked and settled(m, v) and not m.memory.u64(v + m.o.node_lock) and not _waking(m, v):
            yield f"{m.vcpu_name(v)} is blocked and on no list"


def _notified(m: Machine) -> Iterator[str]:
    for v in m.names:
        if not settled(m, v) or not m.memory.u8(v + m.o.control) & 1 or not m.memory.u64(v + m.o.node_lock):
            continue
        apic = apic_id(m.memory.u32(v + m.o.ndst), m.layout.config.x2apic)
        owner = m.context.addresses.by_apic.get(apic, -1)
        if owner in m.state.online and not _wakeup_on_its_way(m, owner) and not _waking(m, v):
            yield f"{m.vcpu_name(v)} is blocked with ON set, and no wakeup interrupt is on its way to CPU {owner}"


def _wakeup_on_its_way(m: Machine, owner: int) -> bool:
    return interrupt_under_way(m, owner, m.memory.u8(m.context.pi_wakeup_vector), pi_wakeup_interrupt)


_WAKERS = frozenset(
    procedure.number for procedure in (vcpu_kick, vcpu_unblock, vmx_deliver_posted_intr, vmx_deliver_posted_interrupt)
)


def _waking(m: Machine, v: int) -> bool:
    return under_way(m, _WAKERS, v) or any(
        frame[PROCEDURE] == pi_wakeup_interrupt.number and frame[FIRST] - m.o.node == v
        for cpu in m.cpus
        for frame in cpu.stack
    )


def _scheduler(m: Machine) -> Iterator[str]:
    yield from unsound_queues(m, "vCPU")
    for cpu in m.cpus:
        if m.context.physical(m.memory.u64(m.context.addresses.current[cpu.cpu])) != cpu.current:
            yield f"CPU {cpu.cpu}'s current"
        if cpu.guest and cpu.stack[0][PROCEDURE] != vmx_do_vmentry.number:
            yield f"CPU {cpu.cpu} is in the guest and elsewhere"
        if cpu.guest and m.memory.u32(cpu.current + m.o.processor) != cpu.cpu:
            yield f"{m.vcpu_name(cpu.current)} runs on CPU {cpu.cpu}, which is not its processor"


def _always(version: Version, workload: Workload) -> bool:
    return True


def _quiet(version: Version, workload: Workload) -> bool:
    return not workload.offline and (version.deassign_cleans_up or not workload.hotplug)


INVARIANTS = (
    Invariant("descriptors are sound", _descriptors, _always),
    Invariant("locks are held once", _locks, _quiet),
    Invariant("the scheduler is sound", _scheduler, _always),
    Invariant("lists are sound", _lists, _quiet),
    Invariant("before VM entry the descriptor is restored", _in_guest, _quiet),
    Invariant("in the guest notifications come to its CPU", _guest_destination, _quiet),
    Invariant("who is blocked can be woken", _blocked, _quiet),
    Invariant("who is blocked is on a list", _listed, lambda version, load: not load.hotplug and not load.offline),
    Invariant("a wakeup is on its way", _notified, _quiet),
)
