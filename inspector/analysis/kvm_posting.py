"""What becomes of a notification, and of a post that sends none, where KVM owns the machine.

Sources: arch/x86/kvm/vmx/posted_intr.c (pi_wakeup_handler, vmx_vcpu_pi_load), vmx.c (vmx_sync_pir_to_irr).
"""

from __future__ import annotations

from inspector.model.snapshot import Cpu, Descriptor, Snapshot, Vcpu


def arrival(snapshot: Snapshot, pi: Descriptor, cpu: Cpu, vcpu: Vcpu | None) -> str:
    """What a notification does at the CPU where it arrives."""
    if pi.nv == snapshot.pi_wakeup_vector:
        return _wakeup(cpu, vcpu)
    if pi.nv != snapshot.posted_intr_vector:
        return "that vector is neither KVM's notification nor its wakeup vector: nothing delivers the interrupt"
    if vcpu is None:
        return f"CPU {cpu.cpu} takes PIR in if it executes that vCPU; else its handler does nothing"
    on = vcpu.kvm.loaded_on if vcpu.kvm else None
    if on == cpu.cpu and vcpu.in_guest:
        return f"CPU {cpu.cpu} executes {vcpu.name}: the processor takes the vector in at once, without a VM exit"
    if on == cpu.cpu:
        return f"CPU {cpu.cpu} is in KVM: it looks at ON before it enters {vcpu.name} (vmx_sync_pir_to_irr)"
    if vcpu.blocked and vcpu.kvm and not vcpu.kvm.runnable:
        return f"the handler there does nothing: {vcpu.name} is blocked, and nothing wakes it"
    return f"the handler there does nothing: {vcpu.name} is not loaded; it looks at PIR when it is"


def suppressed(vcpu: Vcpu | None) -> str:
    """When a vector that was recorded with SN=1 is looked at."""
    who = vcpu.name if vcpu else "the vCPU"
    return f"when {who} is loaded, vmx_vcpu_pi_load clears SN and sets ON if PIR holds anything"


def until(pi: Descriptor, vcpu: Vcpu) -> str:
    """When a vector that found ON=1 is looked at."""
    if vcpu.in_guest:
        return f"{vcpu.name} takes it in when that notification arrives, or at its next VM exit"
    if vcpu.blocked and vcpu.kvm and vcpu.kvm.loaded_on is None and not vcpu.kvm.runnable:
        return f"{vcpu.name} is blocked: if no vector {pi.nv:#x} is pending at its destination, nothing wakes it"
    return f"KVM takes PIR in before it next enters {vcpu.name}, for it looks at PIR if ON is set"


def _wakeup(cpu: Cpu, vcpu: Vcpu | None) -> str:
    start = f"there pi_wakeup_handler looks through CPU {cpu.cpu}'s wakeup list"
    if vcpu is None:
        return f"{start} for vCPUs with ON=1 and wakes their threads"
    if vcpu.blocking_list != cpu.cpu:
        return f"{start}, where {vcpu.name} is not: nothing wakes it"
    if vcpu.kvm and vcpu.kvm.runnable:
        return f"{start} and finds {vcpu.name} with ON=1; its thread is awake already"
    return f"{start}, finds {vcpu.name} with ON=1 and wakes its thread; loading takes it off the list"
