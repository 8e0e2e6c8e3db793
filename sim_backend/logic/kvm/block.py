"""A vCPU halts, and is blocked until something comes (virt/kvm/kvm_main.c, arch/x86/kvm/x86.c)."""

from __future__ import annotations

from sim_backend.logic.context import VCPU
from sim_backend.logic.kinds import PLACE
from sim_backend.logic.kvm.context import (
    REQ_NMI,
    REQ_UNBLOCK,
    RUNNABLE,
    TASK_INTERRUPTIBLE,
    TASK_RUNNING,
    KvmContext,
)
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.schedule import schedule
from sim_backend.logic.kvm.sync import vmx_sync_pir_to_irr
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome

V = FIRST

kvm_vcpu_has_events = KvmProcedure("kvm_vcpu_has_events", v=PLACE)
"""Its result is whether anything makes the vCPU run."""


@kvm_vcpu_has_events.step("looks for an NMI")
def look_for_nmi(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.result = w.memory.u32(f[V] + w.o.requests) >> REQ_NMI & 1
    return DONE if a.result else None


@kvm_vcpu_has_events.step("looks for interrupts, if they are enabled: moves PIR to IRR")
def look_for_interrupts(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if f[V] in w.state.masked:
        a.result = 0
        return DONE
    if w.version.block_sees_pir:
        a.call(vmx_sync_pir_to_irr, f[V])
    else:
        a.result = w.guests.highest_virtual(f[V])
    return None


@kvm_vcpu_has_events.step("decides whether one is pending")
def decide(w: KvmContext, a: Actor, f: Frame) -> None:
    a.result = int(a.result >= 0)


kvm_vcpu_check_block = KvmProcedure("kvm_vcpu_check_block", v=PLACE)
"""Its result is whether the vCPU must not block."""


@kvm_vcpu_check_block.step("looks whether the vCPU can run")
def look_whether_runnable(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if w.memory.u32(f[V] + w.o.mp_state) == RUNNABLE:
        a.result = 1
        return DONE
    a.call(kvm_vcpu_has_events, f[V])
    return None


@kvm_vcpu_check_block.step("looks whether a timer has expired, and whether it is asked to look again")
def look_for_unblock(w: KvmContext, a: Actor, f: Frame) -> None:
    a.result = int(bool(a.result) or f[V] in w.state.expired)
    if not a.result and w.memory.u32(f[V] + w.o.requests) >> REQ_UNBLOCK & 1:
        w.memory.test_and_clear_bit(f[V] + w.o.requests, REQ_UNBLOCK)
        w.effect = (VCPU, f[V], ("request {}", REQ_UNBLOCK), 1, 0)
        a.result = 1


kvm_vcpu_block = KvmProcedure("kvm_vcpu_block", v=PLACE)


@kvm_vcpu_block.step("disables preemption, and says that it is the one who waits")
def prepare(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if w.version.waits_before_look:
        say_waits(w, f[V])
    return None if w.version.state_before_look else look_first


def say_waits(w: KvmContext, v: int) -> None:
    """Store who waits. Source: `prepare_to_rcuwait`."""
    w.memory.set_u64(v + w.o.wait, w.virtual(w.addresses.tasks[v]))
    w.effect = (VCPU, v, "blocking", 0, 1)


@kvm_vcpu_block.step("says that its thread sleeps")
def say_sleeps(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    w.memory.set_u32(w.addresses.tasks[f[V]] + w.o.task_state, TASK_INTERRUPTIBLE)
    w.memory.fence()
    w.effect = (VCPU, f[V], "task state", TASK_RUNNING, TASK_INTERRUPTIBLE)
    return None if w.version.state_before_look else sleep


@kvm_vcpu_block.step("looks whether anything came meanwhile")
def look_again(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_check_block, f[V])


@kvm_vcpu_block.step("lets another thread run, unless something came")
def sleep(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if a.result:
        return None
    if not w.version.waits_before_look:
        say_waits(w, f[V])
    a.call(schedule, 0)
    return say_sleeps if w.version.state_before_look else look_first


@kvm_vcpu_block.step("waits no more")
def finish(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    v = f[V]
    w.memory.set_u64(v + w.o.wait, 0)
    w.memory.set_u32(w.addresses.tasks[v] + w.o.task_state, TASK_RUNNING)
    w.effect = (VCPU, v, "blocking", 1, 0)
    return DONE


@kvm_vcpu_block.step("looks whether anything came, before it says that it sleeps")
def look_first(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_check_block, f[V])


@kvm_vcpu_block.step("goes on to sleep, unless something came")
def decide_first(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return finish if a.result else say_sleeps


kvm_vcpu_block.forget_at(prepare, look_again, finish, look_first)
