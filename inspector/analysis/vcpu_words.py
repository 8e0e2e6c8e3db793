"""How vCPUs are named, chosen and described."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.analysis.situation import label, situation
from inspector.base.errors import UsageError
from inspector.model.kvm import KvmVcpu
from inspector.model.snapshot import MARKER, Descriptor, Snapshot, Vcpu
from structs.pi_desc import ndst_apic_id

if TYPE_CHECKING:
    from inspector.model import documents


def choose(snapshot: Snapshot, name: str) -> Vcpu:
    """The vCPU of that name; KVM's `vm1v0` may be called `d1v0` too. Raises UsageError if there is none."""
    if name not in snapshot.by_name and name.startswith("d") and f"vm{name[1:]}" in snapshot.by_name:
        name = f"vm{name[1:]}"
    if name not in snapshot.by_name:
        known = ", ".join(list(snapshot.by_name)[:20]) or "none"
        raise UsageError(f"there is no vCPU {name}; those that were found: {known}")
    return snapshot.by_name[name]


def descriptor(pi: Descriptor | None) -> documents.Descriptor | None:
    """A descriptor as the documents have it."""
    if pi is None:
        return None
    return {"address": pi.address, "pir": list(pi.pir), "on": pi.on, "sn": pi.sn, "nv": pi.nv, "ndst": pi.ndst}


def document(snapshot: Snapshot, vcpu: Vcpu) -> documents.VcpuState:
    """A vCPU as the documents have it."""
    where = situation(snapshot, vcpu)
    made: documents.VcpuState = {
        "name": vcpu.name,
        "domain": vcpu.domain_name,
        "domain_id": vcpu.domain,
        "vcpu_id": vcpu.vcpu,
        "cpu": vcpu.cpu,
        "runstate": vcpu.runstate,
        "blocked": vcpu.blocked,
        "pi": descriptor(vcpu.pi),
        "blocking_list": vcpu.blocking_list,
        "situation": where.id if where else None,
        "evidence": list(where.evidence) if where else [],
        "is_running": vcpu.is_running,
        "in_guest": vcpu.in_guest,
        "pause_flags": vcpu.pause_flags,
        "pause_count": vcpu.pause_count,
        "hooks": list(vcpu.hooks),
    }
    if vcpu.kvm:
        made["kvm"] = kvm_document(vcpu.kvm)
    return made


def kvm_document(kvm: KvmVcpu) -> documents.KvmState:
    """What KVM keeps of a vCPU as the documents have it."""
    return {
        "thread": kvm.thread,
        "mode": kvm.mode,
        "loaded_on": kvm.loaded_on,
        "blocking": kvm.blocking,
        "preempted": kvm.preempted,
        "ready": kvm.ready,
        "runnable": kvm.runnable,
        "on_cpu": kvm.on_cpu,
        "exit_count": kvm.exits,
        "wakes": kvm.wakes,
    }


def line(snapshot: Snapshot, vcpu: Vcpu) -> str:
    """A vCPU in one line: where it is, its descriptor, where it stands."""
    where = situation(snapshot, vcpu)
    parts = [f"{vcpu.name}: {vcpu.runstate}", "no CPU" if vcpu.cpu is None else f"CPU {vcpu.cpu}"]
    if vcpu.pi:
        parts += [
            f"PIR {vectors(vcpu.pi.pir)}",
            f"ON {vcpu.pi.on}, SN {vcpu.pi.sn}",
            f"NV {vector_name(snapshot, vcpu.pi.nv)}, NDST {destination(snapshot, vcpu.pi.ndst)}",
        ]
    if vcpu.blocking_list is not None:
        parts.append(f"on the list of CPU {vcpu.blocking_list}")
    if where:
        parts.append(label(where.id))
    return ", ".join(parts)


def vectors(pir: tuple[int, ...]) -> str:
    """Vectors for a reader."""
    return " ".join(f"{vector:#04x}" for vector in pir) or "-"


def vector_name(snapshot: Snapshot, nv: int) -> str:
    """A notification vector with what Xen uses it for."""
    if nv and nv == snapshot.posted_intr_vector:
        return f"{nv:#04x} notify"
    if nv and nv == snapshot.pi_wakeup_vector:
        return f"{nv:#04x} wakeup"
    return f"{nv:#04x}"


def destination(snapshot: Snapshot, ndst: int) -> str:
    """An NDST as the CPU that it names, else as the APIC ID, else as it stands."""
    if ndst == MARKER:
        return "none yet"
    if snapshot.x2apic is None:
        return f"{ndst:#x}"
    apic = ndst_apic_id(ndst, snapshot.x2apic)
    known = snapshot.by_apic.get(apic)
    if known is None:
        return f"APIC {apic:#x}?"
    return f"CPU {known.cpu}" + ("" if known.online else " offline")
