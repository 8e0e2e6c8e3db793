"""The two interrupts: a blocked vCPU has a post, a running one has, while its CPU is in Xen."""

from __future__ import annotations

from sim_backend.logic.context import CPU, VCPU, LogicContext
from sim_backend.logic.kinds import PLACE
from sim_backend.logic.pi.deliver import ON_MASK
from sim_backend.logic.pi.stores import following, list_del, lock_taken, set_node_lock, unlock
from sim_backend.logic.pi.unblock import VCPU_KICK_SOFTIRQ, vcpu_unblock
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

pi_wakeup_interrupt = Procedure("pi_wakeup_interrupt", node=PLACE, next=PLACE)
NODE, NEXT = FIRST, FIRST + 1


@pi_wakeup_interrupt.step("acknowledges the interrupt")
def acknowledge_wakeup(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.ack_apic_irq(a)


@pi_wakeup_interrupt.step("counts it")
def count_wakeup(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.count_irq(a)


@pi_wakeup_interrupt.step("locks this CPU's blocking list")
def take_list_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not lock_taken(w, w.blocking_lock(a.cpu)):
        return WAIT
    f[NODE] = w.physical(following(w, w.blocking_list(a.cpu)))
    f[NEXT] = following(w, f[NODE])
    w.effect = (CPU, a.cpu, "blocking list locked", 0, 1)
    return None


@pi_wakeup_interrupt.step("looks at the next vCPU: is a notification outstanding?")
def next_sleeper(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if f[NODE] == w.blocking_list(a.cpu):
        return end_of_wakeup
    v = f[NODE] - w.o.node
    on = w.memory.u8(v + w.o.control) & ON_MASK
    w.effect = (VCPU, v, "on", on, on)
    return None if on or not w.version.wakeup_asks_on else pass_by


@pi_wakeup_interrupt.step("takes it off the list")
def unlist_sleeper(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    list_del(w, f[NODE])
    w.effect = (VCPU, f[NODE] - w.o.node, "on a blocking list", 1, 0)
    return None if w.version.wakeup_forgets_lock else unblock


@pi_wakeup_interrupt.step("makes it forget the lock")
def forget_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    set_node_lock(w, f[NODE] - w.o.node, 0)


@pi_wakeup_interrupt.step("unblocks it")
def unblock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.call(vcpu_unblock, f[NODE] - w.o.node)
    return None if w.version.wakes_all else end_of_wakeup


@pi_wakeup_interrupt.step("goes on")
def pass_by(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    f[NODE] = w.physical(f[NEXT])
    f[NEXT] = following(w, f[NODE])
    return next_sleeper


@pi_wakeup_interrupt.step("unlocks the list")
def end_of_wakeup(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    unlock(w, w.blocking_lock(a.cpu))
    w.effect = (CPU, a.cpu, "blocking list locked", 1, 0)
    return None if w.version.wakeup_kicks else DONE


@pi_wakeup_interrupt.step("has this CPU look at PIR again before VM entry")
def kick_this_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.raise_softirq(a, VCPU_KICK_SOFTIRQ)


pi_notification_interrupt = Procedure("pi_notification_interrupt")


@pi_notification_interrupt.step("acknowledges the interrupt")
def acknowledge_notification(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.ack_apic_irq(a)


@pi_notification_interrupt.step("counts it")
def count_notification(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.count_irq(a)


@pi_notification_interrupt.step("has this CPU look at PIR again before VM entry")
def raise_kick(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.raise_softirq(a, VCPU_KICK_SOFTIRQ)
