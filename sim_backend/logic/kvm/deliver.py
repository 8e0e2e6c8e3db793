"""Software posts an interrupt to a vCPU: `vmx_deliver_interrupt` (arch/x86/kvm/vmx/vmx.c)."""

from __future__ import annotations

from sim_backend.logic.context import ON, PIR_BIT, VCPU
from sim_backend.logic.kinds import PLACE, VECTOR_OF_FIRST
from sim_backend.logic.kvm.context import IN_GUEST_MODE, POSTED_INTR_VECTOR, KvmContext
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.stores import set_bit
from sim_backend.logic.kvm.wake import kvm_vcpu_wake_up
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome

V, VECTOR = FIRST, FIRST + 1

vmx_deliver_posted_interrupt = KvmProcedure("vmx_deliver_posted_interrupt", v=PLACE, vector=VECTOR_OF_FIRST)


@vmx_deliver_posted_interrupt.step("sets its bit in PIR; it was set: nothing more to do")
def post(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    was = w.memory.test_and_set_bit(f[V] + w.o.pir, f[VECTOR])
    w.effect = (VCPU, f[V], (PIR_BIT, f[VECTOR]), int(was), 1)
    return DONE if was else None


@vmx_deliver_posted_interrupt.step("sets ON; it was set: whoever did has notified")
def mark(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return DONE if set_bit(w, f[V], "on", ON) else None


@vmx_deliver_posted_interrupt.step("looks whether the vCPU is in the guest; else it is woken")
def look_at_mode(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    mode = w.memory.u32(f[V] + w.o.mode)
    w.effect = (VCPU, f[V], "mode", mode, mode)
    here = w.services.runs_here(a, f[V])
    if mode == IN_GUEST_MODE:
        return DONE if here else None
    if w.version.wakes_current or not here:
        a.call(kvm_vcpu_wake_up, f[V])
    return DONE


@vmx_deliver_posted_interrupt.step("sends the notification to its CPU")
def notify(w: KvmContext, a: Actor, f: Frame) -> None:
    w.services.send_ipi(a, w.memory.u32(f[V] + w.o.cpu), POSTED_INTR_VECTOR)
