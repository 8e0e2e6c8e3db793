"""A vCPU's thread: into the guest, out of it, and around again (`vcpu_run`, arch/x86/kvm/x86.c)."""

from __future__ import annotations

from sim_backend.logic.context import VCPU, VIRR_BIT
from sim_backend.logic.cpu import Cpu
from sim_backend.logic.guests import DOWN, HALT, HYPERCALL, REWRITE_MSI, SEND_IPI, TIMER_VECTOR
from sim_backend.logic.kinds import NUMBER, PLACE
from sim_backend.logic.kvm.block import kvm_vcpu_block, kvm_vcpu_has_events
from sim_backend.logic.kvm.context import (
    EXITING_GUEST_MODE,
    HALTED,
    IN_GUEST_MODE,
    OUTSIDE_GUEST_MODE,
    REQ_NMI,
    REQ_UNBLOCK,
    RUNNABLE,
    KvmContext,
)
from sim_backend.logic.kvm.deliver import vmx_deliver_posted_interrupt
from sim_backend.logic.kvm.irqfd import kvm_set_irq_routing
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.schedule import kvm_arch_vcpu_load, schedule
from sim_backend.logic.kvm.sync import vmx_sync_pir_to_irr
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome

V = FIRST

kvm_arch_vcpu_ioctl_run = KvmProcedure("kvm_arch_vcpu_ioctl_run", v=PLACE)


@kvm_arch_vcpu_ioctl_run.step("has its vCPU be the one that runs here, and loads it")
def load(w: KvmContext, a: Actor, f: Frame) -> None:
    w.services.set_running_vcpu(a.cpu, f[V])
    a.call(kvm_arch_vcpu_load, f[V], a.cpu)


@kvm_arch_vcpu_ioctl_run.step("enables preemption")
def loaded(w: KvmContext, a: Actor, f: Frame) -> None:
    w.state.unpreemptible[a.cpu] = 0
    a.call(vcpu_run, f[V])


vcpu_run = KvmProcedure("vcpu_run", v=PLACE)


@vcpu_run.step("looks whether the vCPU runs, or is halted")
def run_or_block(w: KvmContext, a: Actor, f: Frame) -> None:
    running = w.memory.u32(f[V] + w.o.mp_state) == RUNNABLE
    a.call(vcpu_enter_guest if running else vcpu_block, f[V])


@vcpu_run.step("has looked again")
def forget_unblock(w: KvmContext, a: Actor, f: Frame) -> None:
    if w.memory.u32(f[V] + w.o.requests) >> REQ_UNBLOCK & 1:
        w.memory.test_and_clear_bit(f[V] + w.o.requests, REQ_UNBLOCK)


@vcpu_run.step("is given the interrupt of a timer that has expired")
def inject_timer(w: KvmContext, a: Actor, f: Frame) -> None:
    if f[V] in w.state.expired:
        w.state.expired = [v for v in w.state.expired if v != f[V]]
        a.call(vmx_deliver_posted_interrupt, f[V], TIMER_VECTOR)


@vcpu_run.step("lets another thread run, if one is to")
def let_others_run(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if w.state.reschedule[a.cpu]:
        a.call(schedule, 0)
    return run_or_block


vcpu_block = KvmProcedure("vcpu_block", v=PLACE)


@vcpu_block.step("looks whether anything makes it run")
def look_for_events(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_has_events, f[V])


@vcpu_block.step("is blocked until something comes")
def block(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if a.result:
        return become_runnable
    a.call(kvm_vcpu_block, f[V])
    return None


@vcpu_block.step("looks what has come")
def look_for_events_again(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_has_events, f[V])


@vcpu_block.step("stays halted if it was nothing for it")
def stay_halted(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if a.result else DONE


@vcpu_block.step("is no longer halted")
def become_runnable(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    set_mp_state(w, f[V], RUNNABLE)
    return DONE


def set_mp_state(w: KvmContext, v: int, state: int) -> None:
    """Store `arch.mp_state`."""
    w.effect = (VCPU, v, "mp_state", w.memory.u32(v + w.o.mp_state), state)
    w.memory.set_u32(v + w.o.mp_state, state)


def set_mode(w: KvmContext, v: int, mode: int) -> None:
    """Store `mode`."""
    w.effect = (VCPU, v, "mode", w.memory.u32(v + w.o.mode), mode)
    w.memory.set_u32(v + w.o.mode, mode)


ALL_TAKEN = 1
vcpu_enter_guest = KvmProcedure("vcpu_enter_guest", v=PLACE, taken=NUMBER, vector=NUMBER, action=NUMBER)
TAKEN, VECTOR, ACTION = range(FIRST + 1, FIRST + 4)


@vcpu_enter_guest.step("does what is requested")
def serve_requests(w: KvmContext, a: Actor, f: Frame) -> None:
    if w.memory.u32(f[V] + w.o.requests) >> REQ_NMI & 1:
        w.memory.test_and_clear_bit(f[V] + w.o.requests, REQ_NMI)
        w.effect = (VCPU, f[V], ("request {}", REQ_NMI), 1, 0)
        w.state.masked = [v for v in w.state.masked if v != f[V]]


@vcpu_enter_guest.step("disables interrupts, and says that it is in the guest")
def say_in_guest(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = False
    if w.version.mode_before_sync:
        set_mode(w, f[V], IN_GUEST_MODE)
        w.memory.fence()
    return None if w.version.syncs_before_entry else look_for_work


@vcpu_enter_guest.step("moves PIR to IRR")
def sync(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.call(vmx_sync_pir_to_irr, f[V])
    return None


@vcpu_enter_guest.step("looks whether there is something to do before")
def look_for_work(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    v = f[V]
    kicked = w.memory.u32(v + w.o.mode) == EXITING_GUEST_MODE
    if kicked or w.state.reschedule[a.cpu] or w.memory.u32(v + w.o.requests):
        return turn_back
    if not w.version.mode_before_sync:
        set_mode(w, v, IN_GUEST_MODE)
        w.memory.fence()
    return None


@vcpu_enter_guest.step("enters the guest")
def enter(w: KvmContext, a: Cpu, f: Frame) -> None:
    w.memory.fence()
    f[TAKEN] = f[VECTOR] = f[ACTION] = 0
    a.guest = a.irqs = True
    w.effect = (VCPU, f[V], "in the guest", 0, 1)


@vcpu_enter_guest.step("runs in the guest")
def in_guest(w: KvmContext, a: Cpu, f: Frame) -> Outcome:
    v = f[V]
    if f[TAKEN] != ALL_TAKEN:
        vector = w.guests.highest_virtual(v)
        if vector >= 0:
            w.guests.take_virtual(v, vector)
            w.effect = (VCPU, v, (VIRR_BIT, vector), 1, 0)
            return in_guest
        # Only VM entry and posted-interrupt processing add to the virtual IRR of a vCPU that is in the guest.
        f[TAKEN] = ALL_TAKEN
    action = w.guests.action(v)
    if not action:
        return WAIT
    f[ACTION] = action
    a.guest = a.irqs = False
    w.effect = (VCPU, v, EXITS[action], 1, 0)
    return None


EXITS = {
    HALT: "in the guest, until HLT",
    HYPERCALL: "in the guest, until a hypercall",
    SEND_IPI: "in the guest, until an IPI",
    DOWN: "in the guest, until HLT with interrupts off",
    REWRITE_MSI: "in the guest, until it writes to its device's MSI-X table",
}


@vcpu_enter_guest.step("says that it is no longer in the guest")
def say_outside(w: KvmContext, a: Actor, f: Frame) -> None:
    f[TAKEN] = 0
    set_mode(w, f[V], OUTSIDE_GUEST_MODE)


@vcpu_enter_guest.step("handles the interrupt that made it leave")
def handle_exit_irqoff(w: KvmContext, a: Cpu, f: Frame) -> None:
    if f[VECTOR]:
        vector, f[VECTOR] = f[VECTOR], 0
        w.services.handle(a, vector)


@vcpu_enter_guest.step("enables interrupts")
def enable_interrupts(w: KvmContext, a: Actor, f: Frame) -> None:
    a.irqs = True


@vcpu_enter_guest.step("handles the exit")
def handle_exit(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    v, action = f[V], f[ACTION]
    if action == SEND_IPI:
        a.call(vmx_deliver_posted_interrupt, *w.guests.ipi_target(v))
    elif action == REWRITE_MSI:
        a.call(kvm_set_irq_routing, *w.guests.arguments())
    elif action in (HALT, DOWN):
        if action == DOWN:
            w.state.masked = sorted({*w.state.masked, v})
        a.call(kvm_vcpu_has_events, v)
        return None
    return DONE


@vcpu_enter_guest.step("is halted, unless something has come already")
def halt(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if not a.result:
        set_mp_state(w, f[V], HALTED)
    return DONE


@vcpu_enter_guest.step("does not enter the guest now")
def turn_back(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    set_mode(w, f[V], OUTSIDE_GUEST_MODE)
    a.irqs = True
    return DONE


def leave_guest(cpu: Cpu, vector: int) -> None:
    """VM exit, for an interrupt."""
    frame = cpu.stack[-1]
    cpu.guest = cpu.irqs = False
    frame[VECTOR], frame[1] = vector, say_outside.pc


vcpu_run.forget_at()
kvm_arch_vcpu_ioctl_run.forget_at()
vcpu_block.forget_at(look_for_events, look_for_events_again, become_runnable)
vcpu_enter_guest.forget_at(*(step for step in vcpu_enter_guest.steps if step is not halt))
