"""What a post to a vCPU does now, in words: the VT-d unit's part (VT-d 5.2.3), then what Xen or the processor makes
of it."""

from __future__ import annotations

from inspector.analysis import kvm_posting
from inspector.model.snapshot import MARKER, Cpu, Descriptor, Snapshot, Vcpu
from structs.pi_desc import ndst_apic_id, ndst_reserved_bits


def effect(snapshot: Snapshot, pi: Descriptor, vcpu: Vcpu | None) -> list[str]:
    """What happens to a vector that a device posts now and that PIR does not hold yet, a sentence each."""
    if pi.reserved or (snapshot.x2apic is False and ndst_reserved_bits(pi.ndst, False)):
        return ["the unit refuses: reserved bits of the descriptor are set (fault 0x28); nothing is recorded"]
    if pi.on:
        return [
            "the unit sets the vector's bit in PIR and sends nothing: ON=1 says that a notification is on its way",
            *_until(snapshot, pi, vcpu),
        ]
    if pi.sn:
        return [
            "the unit sets the vector's bit in PIR, leaves ON at 0 and sends nothing: SN suppresses the notification "
            "(an urgent one, URG=1, would be sent)",
            "PIR holds the vector until something looks at it after the vCPU runs again"
            if not snapshot.is_linux
            else kvm_posting.suppressed(vcpu),
        ]
    return [
        f"the unit sets the vector's bit in PIR and ON, and sends vector {pi.nv:#x} to {_whom(snapshot, pi.ndst)}",
        *_arrival(snapshot, pi, vcpu),
    ]


def destination(snapshot: Snapshot, ndst: int) -> Cpu | None:
    """The CPU that an NDST names, if it is known and online."""
    if snapshot.x2apic is None or ndst == MARKER:
        return None
    apic = ndst_apic_id(ndst, snapshot.x2apic)
    return next((cpu for cpu in snapshot.online if cpu.apic_id == apic), None)


def _whom(snapshot: Snapshot, ndst: int) -> str:
    cpu = destination(snapshot, ndst)
    if cpu:
        return f"APIC {cpu.apic_id:#x}, CPU {cpu.cpu}"
    if snapshot.x2apic is None:
        forms = f"{ndst_apic_id(ndst, True):#x} if x2APIC, {ndst_apic_id(ndst, False):#x} if xAPIC"
        return f"APIC {forms} (the mode is not known here)"
    return f"APIC {ndst_apic_id(ndst, snapshot.x2apic):#x}, which no online CPU has"


def _arrival(snapshot: Snapshot, pi: Descriptor, vcpu: Vcpu | None) -> list[str]:
    """What the notification does where it arrives."""
    cpu = destination(snapshot, pi.ndst)
    if cpu is None:
        return [] if snapshot.x2apic is None or not snapshot.online else ["the notification is lost, and ON stays 1"]
    if snapshot.is_linux:
        return [kvm_posting.arrival(snapshot, pi, cpu, vcpu)]
    if snapshot.pi_wakeup_vector and pi.nv == snapshot.pi_wakeup_vector:
        return [_wakeup(cpu, vcpu)]
    if not snapshot.posted_intr_vector or pi.nv != snapshot.posted_intr_vector:
        return ["that vector is neither Xen's notification nor its wakeup vector: nothing delivers the interrupt"]
    if vcpu and vcpu.in_guest and vcpu.cpu == cpu.cpu:
        return [f"CPU {cpu.cpu} executes {vcpu.name}: the processor takes the vector in at once, without a VM exit"]
    if vcpu and vcpu.blocked and not vcpu.is_running:
        return [f"there Xen only raises a softirq: {vcpu.name} is blocked, and nothing wakes it"]
    if vcpu and vcpu.is_running and vcpu.cpu == cpu.cpu:
        return [f"CPU {cpu.cpu} is in Xen: a softirq makes it look at PIR before it enters {vcpu.name}"]
    return [f"CPU {cpu.cpu} raises a softirq and finds nothing to do, unless it enters the vCPU next"]


def _wakeup(cpu: Cpu, vcpu: Vcpu | None) -> str:
    start = f"there the wakeup handler looks through CPU {cpu.cpu}'s list"
    if vcpu is None:
        return f"{start} for vCPUs with ON=1 and wakes them"
    if vcpu.blocking_list != cpu.cpu:
        return f"{start}, where {vcpu.name} is not: " + (
            "nothing wakes it"
            if vcpu.blocked
            else "nothing to do, for it is awake; it looks at PIR before it next runs"
        )
    if vcpu.blocked:
        return f"{start}, finds {vcpu.name} with ON=1, takes it off and wakes it"
    return f"{start}, finds {vcpu.name} with ON=1 and takes it off; it is awake already"


def _until(snapshot: Snapshot, pi: Descriptor, vcpu: Vcpu | None) -> list[str]:
    """When a vector that found ON=1 is looked at."""
    if vcpu is None:
        return []
    if vcpu.kvm:
        return [kvm_posting.until(pi, vcpu)]
    if vcpu.blocked and not vcpu.is_running:
        return [f"{vcpu.name} is blocked: if no vector {pi.nv:#x} is pending at its destination, nothing wakes it"]
    if vcpu.in_guest:
        return [f"{vcpu.name} takes it in when that notification arrives, or at its next VM exit"]
    return [f"Xen takes PIR in before it next enters {vcpu.name}, for it looks at PIR if ON is set"]
