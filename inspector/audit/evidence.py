"""What several rules ask of a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspector.model.snapshot import (
    BLOCK,
    CRASHED,
    CRASHED_OR_IN_GUEST,
    IN_XEN,
    MARKER,
    NOT_KNOWN,
    Cpu,
    Descriptor,
    Snapshot,
    Vcpu,
)
from structs.pi_desc import ndst_apic_id


def described(snapshot: Snapshot) -> Iterator[tuple[Vcpu, Descriptor]]:
    """The vCPUs that have a descriptor."""
    return ((vcpu, vcpu.pi) for vcpu in snapshot.vcpus if vcpu.pi)


def hooked(snapshot: Snapshot) -> Iterator[tuple[Vcpu, Descriptor]]:
    """Those whose domain has the hooks: a device is, or is being, assigned."""
    return ((vcpu, pi) for vcpu, pi in described(snapshot) if BLOCK in vcpu.hooks)


def settled(snapshot: Snapshot) -> Iterator[tuple[Vcpu, Descriptor]]:
    """The hooked ones that are blocked, and no CPU runs them any more."""
    return ((vcpu, pi) for vcpu, pi in hooked(snapshot) if vcpu.blocked and vcpu.is_running is False)


def quiet(snapshot: Snapshot) -> bool:
    """Whether nothing in Xen is half done: no online CPU executes it, or what they execute, and what their stacks
    hold, has no part in posted interrupts. False if that is not known."""
    known = bool(snapshot.online) and not snapshot.beside
    return known and not any(_busy(cpu) for cpu in snapshot.online)


def _busy(cpu: Cpu) -> bool:
    return cpu.mode is None or (cpu.mode == IN_XEN and cpu.between_steps is not False)


def why(snapshot: Snapshot) -> str:
    """What a message adds about `quiet`."""
    if quiet(snapshot):
        crashed = any(cpu.mode in (CRASHED, CRASHED_OR_IN_GUEST) for cpu in snapshot.online)
        elsewhere = [cpu for cpu in snapshot.online if cpu.mode == IN_XEN]
        where = "executes Xen, so" if not crashed else "was stopped where Xen changes posted interrupts:"
        if elsewhere and not crashed:
            where = f"is where Xen changes posted interrupts ({_whereabouts(elsewhere[0])}), so"
        return f"no CPU {where} nothing is half done"
    busy = next((cpu for cpu in snapshot.online if _busy(cpu) and cpu.function), None)
    who = f"CPU {busy.cpu}, in {busy.function}," if busy and not snapshot.beside else "a CPU"
    return f"a suspicion: {who} may be in the middle of changing this"


def _whereabouts(cpu: Cpu) -> str:
    return f"CPU {cpu.cpu} is in {cpu.function}"


def state(vcpu: Vcpu) -> tuple[Any, ...]:
    """What stays the same of a vCPU that has not moved: if a later snapshot has it too, nothing was in progress."""
    assert vcpu.pi
    pi = vcpu.pi
    # Whether it has moved cannot be told while its run state is being written: the same as none.
    since = object() if vcpu.runstate == NOT_KNOWN else vcpu.since
    return since, vcpu.runstate, vcpu.pause_flags, vcpu.lock, pi.pir, pi.on, pi.sn, pi.nv, pi.ndst


def destination(snapshot: Snapshot, ndst: int) -> Cpu | None:
    """The CPU, online or not, that an NDST names; None if none, or if the APIC mode is not known."""
    if snapshot.x2apic is None or ndst == MARKER:
        return None
    return snapshot.by_apic.get(ndst_apic_id(ndst, snapshot.x2apic))


def pending_at(cpu: Cpu | None, vector: int | None) -> bool | None:
    """Whether a vector is pending or in service in a CPU's local APIC; None if that cannot be told."""
    if cpu is None or cpu.irr is None or cpu.isr is None:
        return None
    return vector in cpu.irr or vector in cpu.isr


def on_its_way(pending: bool | None) -> str:
    """Why a vector that is not pending is no more than a suspicion in one snapshot."""
    unread = "" if pending is False else ", and local APICs cannot be read here"
    return f"(a suspicion: its message may be on its way{unread})"


def named(vectors: tuple[int, ...]) -> str:
    """Vectors for a reader: `vector 0x52`, `vectors 0x31, 0x52`."""
    return ("vector " if len(vectors) == 1 else "vectors ") + ", ".join(f"{vector:#x}" for vector in vectors)
