"""Where a vCPU of KVM's stands in the life of its posted interrupts, K1 to K10, with the evidence.

Sources: arch/x86/kvm/vmx/posted_intr.c (vmx_vcpu_pi_load, vmx_vcpu_pi_put, pi_enable_wakeup_handler,
pi_wakeup_handler), virt/kvm/kvm_main.c (vcpu_load, kvm_sched_in, kvm_sched_out, kvm_vcpu_block).
"""

from __future__ import annotations

from collections.abc import Callable

from inspector.model.kvm import IN_GUEST, NEVER_RUN, KvmVcpu
from inspector.model.snapshot import Snapshot, Vcpu

Say = Callable[[str], None]

KVM_SITUATIONS = {
    "K1": "in the guest",
    "K2": "loaded, outside the guest",
    "K3": "loaded, about to block or just woken",
    "K4": "blocked, on a wakeup list",
    "K5": "blocked, on no wakeup list",
    "K6": "woken, not loaded yet",
    "K7": "preempted",
    "K8": "preempted on its way to block, on a wakeup list",
    "K9": "put, its thread outside KVM_RUN",
    "K10": "never run",
}


def decide(snapshot: Snapshot, vcpu: Vcpu, kvm: KvmVcpu, say: Say) -> str:
    """The situation's id; `say` is told the evidence."""
    if kvm.loaded_on is not None:
        return _loaded(vcpu, kvm, say)
    say("no CPU has it loaded")
    if vcpu.runstate == NEVER_RUN:
        say("kvm_vcpu.cpu is -1" if vcpu.cpu is None else "kvm_vcpu.pid is NULL: KVM_RUN was never called")
        return "K10"
    listed = vcpu.blocking_list is not None
    if kvm.blocking:
        say("it waits in kvm_vcpu_block (wait.task)")
        return _blocking(snapshot, vcpu, kvm, say)
    if listed or _wakes(snapshot, vcpu):
        say("NV is the wakeup vector, or it is on a wakeup list, and it does not wait")
        return "between"
    if kvm.preempted:
        say("kvm_vcpu.preempted is set")
        _say_sn(vcpu, say)
        return "K7"
    say("it neither waits nor was preempted")
    return "K9"


def _loaded(vcpu: Vcpu, kvm: KvmVcpu, say: Say) -> str:
    say(f"CPU {kvm.loaded_on} has it loaded (kvm_running_vcpu)")
    if kvm.blocking:
        say("wait.task is set")
        return "K3"
    say(f"its mode is: {kvm.mode or 'not known'}")
    return "K1" if kvm.mode == IN_GUEST else "K2"


def _blocking(snapshot: Snapshot, vcpu: Vcpu, kvm: KvmVcpu, say: Say) -> str:
    if vcpu.blocking_list is not None:
        say(f"on the wakeup list of CPU {vcpu.blocking_list}")
    if _wakes(snapshot, vcpu):
        say("NV is the wakeup vector")
    if kvm.preempted and vcpu.pi and vcpu.pi.sn:
        say("kvm_vcpu.preempted and SN are set: its thread is runnable")
        return "K8" if vcpu.blocking_list is not None else "K7"
    if kvm.runnable:
        say("its thread is runnable: woken")
        return "K6"
    if kvm.runnable is None:
        say("whether its thread is runnable is not known")
    if vcpu.blocking_list is not None or _wakes(snapshot, vcpu):
        return "K4"
    say("NV is not the wakeup vector" if vcpu.pi else "its descriptor is not known")
    if kvm.wakes is False:
        say("nothing can be posted to it by a device or by another vCPU's IPI")
    return "K5"


def _wakes(snapshot: Snapshot, vcpu: Vcpu) -> bool:
    return bool(vcpu.pi and snapshot.pi_wakeup_vector and vcpu.pi.nv == snapshot.pi_wakeup_vector)


def _say_sn(vcpu: Vcpu, say: Say) -> None:
    if vcpu.pi:
        say("SN is set" if vcpu.pi.sn else "SN is clear: nothing can be posted to it but by KVM itself")
