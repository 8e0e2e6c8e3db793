"""Software posts: `vmx_deliver_posted_intr`."""

from __future__ import annotations

from sim_backend.logic.context import ON, PIR_BIT, SN, VCPU, LogicContext
from sim_backend.logic.kinds import CONTROL, NUMBER, PLACE, VECTOR_OF_FIRST
from sim_backend.logic.pi.stores import set_bit
from sim_backend.logic.pi.unblock import VCPU_KICK_SOFTIRQ, vcpu_kick, vcpu_unblock
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

ON_MASK, SN_MASK = 1 << ON, 1 << SN
V = FIRST


vmx_deliver_posted_intr = Procedure(
    "vmx_deliver_posted_intr", v=PLACE, vector=VECTOR_OF_FIRST, seen=CONTROL, old=CONTROL, new=CONTROL
)
VECTOR, SEEN, OLD, NEW = FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4


@vmx_deliver_posted_intr.step("sets the vector in PIR; if it was set, there is nothing more to do")
def set_pir(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    was = w.memory.test_and_set_bit(f[V] + w.o.pir, f[VECTOR])
    w.effect = (VCPU, f[V], (PIR_BIT, f[VECTOR]), int(was), 1)
    return DONE if was else None


@vmx_deliver_posted_intr.step("looks whether the EOI exit map changed")
def look_at_exitmap(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.memory.u64(f[V] + w.o.eoi_exitmap_changed) else inspection


@vmx_deliver_posted_intr.step("sets ON")
def set_on_for_exitmap(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_bit(w, f[V], "on", ON)
    return kick


@vmx_deliver_posted_intr.step("looks at the descriptor")
def inspection(w: LogicContext, a: Actor, f: Frame) -> None:
    f[SEEN] = w.memory.u64(f[V] + w.o.control)


@vmx_deliver_posted_intr.step("is a notification suppressed or on its way?")
def again(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if f[SEEN] & (SN_MASK | ON_MASK):
        return kick
    control = w.memory.u64(f[V] + w.o.control)
    f[OLD], f[NEW] = control & ~(ON_MASK | SN_MASK), control | ON_MASK
    return None


@vmx_deliver_posted_intr.step("sets ON, if nothing changed meanwhile")
def set_on_unless_changed(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    f[SEEN] = seen = w.memory.cmpxchg_u64(f[V] + w.o.control, f[OLD], f[NEW])
    if seen != f[OLD]:
        return again
    w.effect = (VCPU, f[V], "on", 0, 1)
    return notify


@vmx_deliver_posted_intr.step("kicks the vCPU")
def kick(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.call(vcpu_kick, f[V])
    return DONE


@vmx_deliver_posted_intr.step("notifies the vCPU")
def notify(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.call(vmx_deliver_posted_interrupt, f[V])
    return DONE


vmx_deliver_posted_interrupt = Procedure("__vmx_deliver_posted_interrupt", v=PLACE, running=NUMBER)


@vmx_deliver_posted_interrupt.step("reads is_running")
def read_running_then_unblock(w: LogicContext, a: Actor, f: Frame) -> None:
    f[FIRST + 1] = w.memory.u8(f[V] + w.o.is_running)
    if w.version.wakes_current or f[V] != a.current:
        a.call(vcpu_unblock, f[V])


@vmx_deliver_posted_interrupt.step("sends the notification vector to its CPU, if it runs elsewhere")
def send_notification(w: LogicContext, a: Actor, f: Frame) -> None:
    if not f[FIRST + 1] or not (a.in_irq or f[V] != a.current):
        return
    cpu = w.memory.u32(f[V] + w.o.processor)
    if w.version.always_notifies:
        if cpu != a.cpu:
            w.calls.send_ipi(a, cpu, w.memory.u8(w.posted_intr_vector))
        elif not w.calls.softirq_pending(cpu):
            w.calls.raise_softirq(a, VCPU_KICK_SOFTIRQ)
    elif not w.calls.test_and_set_softirq(cpu, VCPU_KICK_SOFTIRQ) and cpu != a.cpu:
        w.calls.send_ipi(a, cpu, w.memory.u8(w.posted_intr_vector))
