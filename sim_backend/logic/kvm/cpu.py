"""A CPU where Linux runs: the interrupts that it takes, and what it does when no thread of a vCPU runs there."""

from __future__ import annotations

from sim_backend.logic.context import CPU, VCPU
from sim_backend.logic.cpu import Cpu
from sim_backend.logic.kinds import NUMBER
from sim_backend.logic.kvm.context import (
    LOCAL_TIMER_VECTOR,
    POSTED_INTR_VECTOR,
    POSTED_INTR_WAKEUP_VECTOR,
    REQ_UNBLOCK,
    RESCHEDULE_VECTOR,
    KvmContext,
)
from sim_backend.logic.kvm.deliver import vmx_deliver_posted_interrupt
from sim_backend.logic.kvm.posted_intr import pi_wakeup_handler
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.schedule import schedule
from sim_backend.logic.kvm.wake import kvm_make_request
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

interrupt_return = KvmProcedure("irqentry_exit", result=NUMBER)
"""`result`: what the last function returned to whom the interrupt came in between."""


@interrupt_return.step("returns from the interrupt")
def return_from_interrupt(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.in_irq -= 1
    w.memory.fence()
    # Out of the guest, what was interrupted has interrupts off: the interrupt was its exit.
    a.irqs = not (a.in_irq or w.services.handles_exit(a))
    preemptible = w.version.preemptible and a.irqs and not w.state.unpreemptible[a.cpu]
    if preemptible and w.state.reschedule[a.cpu] and w.state.scheduled[a.cpu]:
        a.call(schedule, 1)
        return None
    a.result = f[FIRST]
    return DONE


@interrupt_return.step("goes on where it was preempted")
def go_on(w: KvmContext, a: Actor, f: Frame) -> None:
    a.result = f[FIRST]


def acknowledged(name: str, action: str) -> KvmProcedure:
    """A handler of an interrupt whose first step is to acknowledge it."""
    procedure = KvmProcedure(name, vector=NUMBER)

    @procedure.step(action)
    def acknowledge(w: KvmContext, a: Actor, f: Frame) -> None:
        w.services.end_of_interrupt(a.cpu)

    return procedure


notification = acknowledged("sysvec_kvm_posted_intr_ipi", "acknowledges the interrupt, and has nothing else to do")
rescheduling = acknowledged("sysvec_reschedule_ipi", "acknowledges the interrupt, and has nothing else to do")
wakeup = acknowledged("sysvec_kvm_posted_intr_wakeup_ipi", "acknowledges the interrupt")
timer = acknowledged("sysvec_apic_timer_interrupt", "acknowledges the interrupt")
device = acknowledged("common_interrupt", "acknowledges the interrupt")


@wakeup.step("looks whom it is to wake")
def call_wakeup_handler(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(pi_wakeup_handler)


@timer.step("finds an emulated timer expired, or a time slice over")
def expire(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    timers = w.state.timers[a.cpu]
    if timers:
        v = timers.pop(0)
        w.state.expired = sorted({*w.state.expired, v})
        a.call(kvm_make_request, v, REQ_UNBLOCK)
        w.effect = (VCPU, v, "timer expired", 0, 1)
        return expire if timers else None
    w.effect = (CPU, a.cpu, "to reschedule", w.state.reschedule[a.cpu], 1)
    w.state.reschedule[a.cpu] = 1
    return None


@device.step("signals the irqfd of a guest that has it")
def signal_irqfd(w: KvmContext, a: Actor, f: Frame) -> None:
    for v, vector in w.services.routes_of(f[FIRST]):
        w.tally.posted(v, vector)
        a.call(vmx_deliver_posted_interrupt, v, vector)
        w.effect = (VCPU, v, "interrupts of its irqfds", 0, 1)


HANDLERS: dict[int, Procedure] = {
    POSTED_INTR_VECTOR: notification,
    POSTED_INTR_WAKEUP_VECTOR: wakeup,
    RESCHEDULE_VECTOR: rescheduling,
    LOCAL_TIMER_VECTOR: timer,
}

do_idle = KvmProcedure("do_idle")


@do_idle.step("waits for work")
def idle(w: KvmContext, a: Cpu, f: Frame) -> Outcome:
    state, cpu = w.state, a.cpu
    if state.tasklets[cpu]:
        w.effect = (CPU, cpu, "other threads", state.tasklets[cpu], state.tasklets[cpu] - 1)
        state.tasklets[cpu] -= 1
        state.reschedule[cpu] = 1
        return idle
    if not state.reschedule[cpu]:
        return WAIT
    a.call(schedule, 0)
    return idle


do_idle.forget_at()
