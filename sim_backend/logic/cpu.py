"""A physical CPU: the way into the guest and out of it, the idle loop, softirqs, and interrupts.

The order before VM entry is that of xen/arch/x86/hvm/vmx/entry.S: vmx_intr_assist, interrupts off, softirqs (then all
over again), vmx_vmenter_helper with the resume hook, VM entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_backend.logic.context import CPU, LAPIC_IRR_BIT, SOFTIRQ, VCPU, VIRR_BIT, Context, LogicContext
from sim_backend.logic.guests import DOWN, HALT, HYPERCALL, REWRITE_MSI, SEND_IPI, TIMER_VECTOR
from sim_backend.logic.kinds import FLAG, IDENTITY, NUMBER, held
from sim_backend.logic.lapic import Lapic
from sim_backend.logic.passthrough import FIXED
from sim_backend.logic.pending import NOTHING, TAKEN, UPCALL, look_for_interrupts
from sim_backend.logic.pi import (
    VCPU_KICK_SOFTIRQ,
    pi_notification_interrupt,
    pi_wakeup_interrupt,
    vmx_deliver_posted_intr,
    vmx_vmenter_helper,
)
from sim_backend.logic.program import (
    DONE,
    END,
    FIRST,
    FUNCTIONS,
    PC,
    PROCEDURE,
    WAIT,
    Actor,
    ActorId,
    ActorKind,
    Frame,
    Outcome,
    Procedure,
    pop_done,
)
from sim_backend.logic.scheduler import (
    EVENT_CHECK_VECTOR,
    INVALIDATE_VECTOR,
    LOCAL_TIMER_VECTOR,
    SCHEDULE_SOFTIRQ,
    TASKLET_SOFTIRQ,
    TIMER_SOFTIRQ,
    context_switch,
    hvm_vcpu_down,
    schedule,
    sync_local_execstate,
    vcpu_block,
)
from sim_backend.logic.store_buffers import NOBODY
from sim_backend.logic.toolstack import IRQ_DISABLED, rewrite_msi
from sim_backend.logic.vtd_engine import posted_interrupt_processing
from sim_backend.memory.memory import Memory

HVM_DPCI_SOFTIRQ = 10


@dataclass(slots=True, eq=False)
class Cpu(Actor):
    """A physical CPU. `guest`: in non-root mode."""

    lapic: Lapic = field(kw_only=True, metadata=IDENTITY)
    guest: bool = held(FLAG, part="where")

    @classmethod
    def of(cls, memory: Memory, number: int) -> Cpu:
        """The CPU of that number, with its local APIC as memory has it."""
        who = ActorId(ActorKind.CPU, number)
        return cls(who, f"{who.kind} {number}", number, lapic=Lapic.of(memory, number))

    def turn(self, w: Context) -> bool:
        """Take an interrupt if there is one that it may take, else go on with what it does; False if it has to wait."""
        if self.irqs and self.lapic.irr:
            vector = self.lapic.deliverable()
            if vector:
                w.services.interrupt(self, vector)
                return True
        # As Actor.advance: a machine spends its time here, and a call is a tenth of it.
        stack = self.stack
        frame = stack[-1]
        pc = frame[1]
        functions = FUNCTIONS[frame[0]]
        outcome = functions[pc](w, self, frame)
        if outcome is None:
            frame[1] = pc = pc + 1
            if pc < len(functions):
                return True
        elif outcome is WAIT:
            return False
        elif outcome is DONE:
            frame[1] = END
        else:
            frame[1] = outcome.pc
            return True
        pop_done(stack)
        return True


class BufferedCpu(Cpu):
    """A CPU with a store buffer: outside of the guest its stores go there. In the guest its buffer is empty."""

    __slots__ = ()

    def turn(self, w: Context) -> bool:
        """As Cpu.turn."""
        if self.guest or w.buffered is None:
            return Cpu.turn(self, w)
        w.buffered.cpu = self.cpu
        try:
            return Cpu.turn(self, w)
        finally:
            w.buffered.cpu = NOBODY


def handle_interrupt(w: LogicContext, cpu: Cpu, vector: int) -> None:
    """A CPU takes an interrupt."""
    cpu.lapic.acknowledge(vector)
    w.effect = (CPU, cpu.cpu, (LAPIC_IRR_BIT, vector), 1, 0)
    w.words = ("interrupt", f"takes vector {vector:#x}" + (" in the guest" if cpu.guest else ""))
    if cpu.guest:
        if vector == w.memory.u8(w.posted_intr_vector):
            cpu.irqs = False
            cpu.stack[-1][INJECTED] = NOTHING
            cpu.call(posted_interrupt_processing, cpu.current)
            return
        leave_guest(cpu)
    elif cpu.stack[-1][PROCEDURE] == mwait_idle.number:
        leave_mwait(cpu)
    cpu.irqs = False
    w.services.set_in_irq(cpu, 1)
    cpu.call(interrupt_return)
    if vector == w.memory.u8(w.posted_intr_vector):
        cpu.call(pi_notification_interrupt)
    elif vector == w.memory.u8(w.pi_wakeup_vector):
        cpu.call(pi_wakeup_interrupt)
    else:
        cpu.call(HANDLERS.get(vector, device_interrupt), vector)


interrupt_return = Procedure("iret")


@interrupt_return.step("returns from the interrupt")
def iret(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.set_in_irq(a, -1)
    w.memory.fence()
    a.irqs = True


event_check_interrupt = Procedure("event_check_interrupt", vector=NUMBER)


@event_check_interrupt.step("acknowledges the interrupt, and has nothing else to do")
def acknowledge_event_check(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.ack_apic_irq(a)


invalidate_interrupt = Procedure("invalidate_interrupt", vector=NUMBER)


@invalidate_interrupt.step("acknowledges the interrupt")
def acknowledge_invalidate(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.ack_apic_irq(a)


@invalidate_interrupt.step("saves the state of a vCPU that is not current")
def save_state_not_current(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.state.curr[a.cpu] != a.current:
        a.call(context_switch)


@invalidate_interrupt.step("says that it is done")
def report_flushed(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.fence()
    w.state.flush_mask &= ~(1 << a.cpu)


timer_interrupt = Procedure("apic_timer_interrupt", vector=NUMBER)


@timer_interrupt.step("acknowledges the interrupt")
def acknowledge_timer(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.ack_apic_irq(a)


@timer_interrupt.step("finds the time slice over")
def end_time_slice(w: LogicContext, a: Actor, f: Frame) -> None:
    # In Xen the slice is a timer like others. Here an interrupt is either for one of these or for the slice.
    w.services.raise_softirq(a, TIMER_SOFTIRQ if w.state.timers[a.cpu] else SCHEDULE_SOFTIRQ)


device_interrupt = Procedure("do_IRQ", vector=NUMBER)


@device_interrupt.step("acknowledges the interrupt")
def acknowledge_device(w: LogicContext, a: Actor, f: Frame) -> None:
    w.services.ack_apic_irq(a)


@device_interrupt.step("has a guest that owns it told, by softirq")
def raise_dpci(w: LogicContext, a: Actor, f: Frame) -> None:
    msi, own = w.passthrough.remapped_to_guest(f[FIRST]), w.passthrough.own_irq(f[FIRST])
    if own is not None:
        a.call(handle_irq, own)
    elif msi is not None and msi not in w.state.dpci[a.cpu]:
        w.state.dpci[a.cpu].append(msi)
        w.services.raise_softirq(a, HVM_DPCI_SOFTIRQ)


# What Xen handles itself: the loop of do_IRQ. The lock of the irq is one step here, as long as it is held.

IRQ_INPROGRESS, IRQ_PENDING = 1, 4
handle_irq = Procedure("handle_IRQ", irq=NUMBER, disabled=NUMBER)
DISABLED = FIRST + 1


def status_of(w: LogicContext, irq: int) -> int:
    """An irq's status."""
    return w.memory.u32(w.passthrough.irq_status(irq))


def set_status(w: LogicContext, irq: int, status: int) -> None:
    """Store an irq's status."""
    w.memory.set_u32(w.passthrough.irq_status(irq), status)


@handle_irq.step("notes that it is pending; somebody handles it already, or it is disabled: nothing more to do")
def note_pending(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    status = status_of(w, f[FIRST])
    busy = status & (IRQ_INPROGRESS | IRQ_DISABLED)
    set_status(w, f[FIRST], status | IRQ_PENDING | (0 if busy else IRQ_INPROGRESS))
    w.memory.fence()
    return DONE if busy else None


@handle_irq.step("looks whether it is still pending, and enables interrupts")
def take_pending(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    status = status_of(w, f[FIRST])
    f[DISABLED] = int(bool(status & IRQ_DISABLED))
    if not status & IRQ_PENDING or (f[DISABLED] and w.version.action_heeds_disable):
        set_status(w, f[FIRST], status & ~IRQ_INPROGRESS)
        w.memory.fence()
        return DONE
    set_status(w, f[FIRST], status & ~IRQ_PENDING)
    w.memory.fence()
    a.irqs = True
    return None


@handle_irq.step("handles it, and disables interrupts")
def run_action(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = False
    return take_pending


HANDLERS = {
    EVENT_CHECK_VECTOR: event_check_interrupt,
    INVALIDATE_VECTOR: invalidate_interrupt,
    LOCAL_TIMER_VECTOR: timer_interrupt,
}


# Softirqs.

do_softirq = Procedure("do_softirq")


@do_softirq.step("takes the first pending softirq")
def take_softirq(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    pending = w.services.softirq_pending(a.cpu)
    if not pending:
        return DONE
    number = (pending & -pending).bit_length() - 1
    w.services.clear_softirq(a.cpu, number)
    if number == SCHEDULE_SOFTIRQ:
        a.call(schedule)
    elif number == HVM_DPCI_SOFTIRQ:
        a.call(dpci_softirq)
    elif number == TIMER_SOFTIRQ:
        a.call(timer_softirq)
    w.effect = (CPU, a.cpu, (SOFTIRQ, NAMES.get(number, number)), 1, 0)
    return take_softirq


NAMES = {
    TIMER_SOFTIRQ: "TIMER",
    SCHEDULE_SOFTIRQ: "SCHEDULE",
    TASKLET_SOFTIRQ: "TASKLET",
    VCPU_KICK_SOFTIRQ: "VCPU_KICK",
    HVM_DPCI_SOFTIRQ: "HVM_DPCI",
}


dpci_softirq = Procedure("dpci_softirq")


@dpci_softirq.step("delivers a device's interrupt to its guest")
def deliver(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not w.state.dpci[a.cpu]:
        return None
    for v, vector in w.passthrough.binding_of(w.state.dpci[a.cpu].pop(0)):
        if vector <= FIXED:
            w.tally.posted(v, vector)
            a.call(vmx_deliver_posted_intr, v, vector)
    return deliver


timer_softirq = Procedure("timer_softirq_action")


@timer_softirq.step("has an emulated timer interrupt its guest")
def expire_timer(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not w.state.timers[a.cpu]:
        return None
    a.call(vmx_deliver_posted_intr, w.state.timers[a.cpu].pop(0), TIMER_VECTOR)
    return expire_timer


# The idle loop.

idle_loop = Procedure("idle_loop")


@idle_loop.step("waits for work")
def idle(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    state, cpu = w.state, a.cpu
    if cpu not in state.online:
        return dead
    if state.tasklets[cpu]:
        return tasklet
    if not w.memory.u32(w.addresses.softirqs[cpu]):
        if not w.version.in_mwait:
            return WAIT
        a.call(mwait_idle)
        return idle
    a.call(do_softirq)
    return idle


@idle_loop.step("saves the state of the vCPU that it interrupted, before a tasklet runs")
def tasklet(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(sync_local_execstate)


@idle_loop.step("runs the tasklet")
def run_tasklet(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    w.effect = (CPU, a.cpu, "tasklets", w.state.tasklets[a.cpu], w.state.tasklets[a.cpu] - 1)
    w.state.tasklets[a.cpu] -= 1
    if w.state.leaving == a.cpu:
        w.services.stop_here(a.cpu)
        return dead
    if not w.state.tasklets[a.cpu]:
        effect = w.effect
        w.services.raise_softirq(a, SCHEDULE_SOFTIRQ)
        w.effect = effect
    return idle


@idle_loop.step("is offline")
def dead(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return WAIT if a.cpu not in w.state.online else idle


# MWAIT (xen/arch/x86/acpi/cpu_idle.c). Own stores do not end it, and an interrupt ends it whether it is enabled or not.

mwait_idle = Procedure("mwait_idle_with_hints")


@mwait_idle.step("disables interrupts, and looks for softirqs")
def begin_idle(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = not w.version.masks_before_mwait
    return enable if w.services.softirq_pending(a.cpu) else None


@mwait_idle.step("says that it waits in MWAIT")
def advertise(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    w.services.say_in_mwait(a.cpu, True)
    return None if w.version.arms_first else look_unarmed


@mwait_idle.step("arms the monitor")
def arm(w: LogicContext, a: Actor, f: Frame) -> None:
    w.state.monitored[a.cpu] = 1


@mwait_idle.step("looks for softirqs once more")
def look_armed(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return withdraw if w.services.softirq_pending(a.cpu) else None


@mwait_idle.step("executes MWAIT, unless somebody has stored there already")
def execute(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.state.monitored[a.cpu] else withdraw


@mwait_idle.step("waits for a store to its softirqs, or an interrupt")
def wait(w: LogicContext, a: Cpu, f: Frame) -> Outcome:
    return WAIT if w.state.monitored[a.cpu] and not a.lapic.deliverable() else None


@mwait_idle.step("says that it waits no more")
def withdraw(w: LogicContext, a: Actor, f: Frame) -> None:
    w.state.monitored[a.cpu] = 0
    if w.version.withdraws_in_mwait:
        w.services.say_in_mwait(a.cpu, False)


@mwait_idle.step("enables interrupts")
def enable(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = True
    return DONE


@mwait_idle.step("looks for softirqs, with nobody watching where they are")
def look_unarmed(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return withdraw if w.services.softirq_pending(a.cpu) else None


@mwait_idle.step("arms the monitor, after the last look")
def arm_late(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    w.state.monitored[a.cpu] = 1
    return execute


def leave_mwait(cpu: Cpu) -> None:
    """An interrupt ends MWAIT, if it has begun."""
    if cpu.stack[-1][PC] == wait.pc:
        cpu.stack[-1][PC] = withdraw.pc


# In and out of the guest.

vmx_do_vmentry = Procedure("vmx_asm_do_vmentry", injected=NUMBER)
INJECTED = FIRST


@vmx_do_vmentry.step("looks for interrupts to inject")
def assist(w: LogicContext, a: Actor, f: Frame) -> None:
    f[INJECTED] = NOTHING
    a.call(look_for_interrupts, a.current)


@vmx_do_vmentry.step("decides what to inject")
def decide_injection(w: LogicContext, a: Actor, f: Frame) -> None:
    f[INJECTED] = a.result


@vmx_do_vmentry.step("disables interrupts and looks for softirqs")
def look_for_softirqs(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if w.services.softirq_pending(a.cpu):
        a.call(do_softirq)
        return assist
    a.irqs = False
    return None


@vmx_do_vmentry.step("prepares VM entry")
def prepare_entry(w: LogicContext, a: Actor, f: Frame) -> None:
    a.call(vmx_vmenter_helper)


@vmx_do_vmentry.step("enters the guest")
def enter_guest(w: LogicContext, a: Cpu, f: Frame) -> None:
    w.memory.fence()
    a.guest = a.irqs = True
    w.effect = (VCPU, a.current, "in the guest", 0, 1)


@vmx_do_vmentry.step("runs in the guest")
def in_guest(w: LogicContext, a: Cpu, f: Frame) -> Outcome:
    v = a.current
    if f[INJECTED] != TAKEN:
        if f[INJECTED] == UPCALL:
            f[INJECTED] = NOTHING
            w.state.events.pop(v, None)
            w.effect = (VCPU, v, "upcall pending", 1, 0)
            return in_guest
        vector = w.guests.highest_virtual(v)
        if vector >= 0:
            w.guests.take_virtual(v, vector)
            w.effect = (VCPU, v, (VIRR_BIT, vector), 1, 0)
            return in_guest
        # Only VM entry and posted-interrupt processing add to the virtual IRR of a vCPU that is in the guest.
        f[INJECTED] = TAKEN
    action = w.guests.action(v)
    if not action:
        return WAIT
    leave_guest(a)
    if action == HALT:
        a.call(vcpu_block, v)
    elif action == SEND_IPI:
        a.call(vmx_deliver_posted_intr, *w.guests.ipi_target(v))
    elif action == DOWN:
        a.call(hvm_vcpu_down, v)
    elif action == REWRITE_MSI:
        a.call(rewrite_msi, *w.guests.arguments())
    w.effect = (VCPU, v, EXITS[action], 1, 0)
    return assist


EXITS = {
    HALT: "in the guest, until HLT",
    HYPERCALL: "in the guest, until a hypercall",
    SEND_IPI: "in the guest, until an IPI",
    DOWN: "in the guest, until HLT with interrupts off",
    REWRITE_MSI: "in the guest, until it writes to its device's MSI-X table",
}


def leave_guest(cpu: Cpu) -> None:
    """VM exit: root mode, and what comes next is the way to VM entry again."""
    cpu.guest = False
    cpu.irqs = True
    cpu.stack[-1][PC] = assist.pc
