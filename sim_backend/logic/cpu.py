"""A physical CPU: the way into the guest and out of it, the idle loop, softirqs, and interrupts.

The order before VM entry is that of xen/arch/x86/hvm/vmx/entry.S: vmx_intr_assist, interrupts off, softirqs (then all
over again), vmx_vmenter_helper with the resume hook, VM entry.
"""

from __future__ import annotations

from typing import Any

from sim_backend.layout.layout import Layout
from sim_backend.logic.context import CPU, VCPU
from sim_backend.logic.pi import (
    VCPU_KICK_SOFTIRQ,
    pi_notification_interrupt,
    pi_wakeup_interrupt,
    vmx_deliver_posted_intr,
    vmx_vmenter_helper,
)
from sim_backend.logic.pi.sync import sync
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Procedure
from sim_backend.logic.scheduler import (
    EVENT_CHECK_VECTOR,
    INVALIDATE_VECTOR,
    LOCAL_TIMER_VECTOR,
    SCHEDULE_SOFTIRQ,
    TASKLET_SOFTIRQ,
    context_switch,
    hvm_vcpu_down,
    schedule,
    sync_local_execstate,
    vcpu_block,
)
from sim_backend.logic.store_buffers import NOBODY
from sim_backend.logic.vtd_engine import Lapic, posted_interrupt_processing
from structs.msi import COMPATIBILITY_DATA

HVM_DPCI_SOFTIRQ = 10
HALT, HYPERCALL, SEND_IPI, DOWN = range(1, 5)
"""What a guest may be told to do."""


class Cpu(Actor):
    """A physical CPU. `guest`: in non-root mode."""

    __slots__ = ("guest", "lapic")

    def __init__(self, layout: Layout, number: int) -> None:
        super().__init__(f"CPU {number}", number)
        self.guest = False
        self.lapic = Lapic(layout, number)

    def turn(self, w: Any) -> bool:
        """Take an interrupt if there is one that it may take, else go on with what it does; False if it has to wait."""
        if self.irqs and self.lapic.irr:
            vector = self.lapic.deliverable()
            if vector:
                self._interrupt(w, vector)
                return True
        return self.advance(w)

    def _interrupt(self, w: Any, vector: int) -> None:
        self.lapic.acknowledge(vector)
        w.effect = (CPU, self.cpu, f"LAPIC IRR bit {vector:#x}", 1, 0)
        w.words = ("interrupt", f"takes vector {vector:#x}" + (" in the guest" if self.guest else ""))
        if self.guest:
            if vector == w.memory.u8(w.posted_intr_vector):
                self.irqs = False
                self.stack[-1][INJECTED] = NOTHING
                self.call(posted_interrupt_processing, self.current)
                return
            leave_guest(w, self)
        self.irqs = False
        w.set_in_irq(self, 1)
        self.call(interrupt_return)
        if vector == w.memory.u8(w.posted_intr_vector):
            self.call(pi_notification_interrupt)
        elif vector == w.memory.u8(w.pi_wakeup_vector):
            self.call(pi_wakeup_interrupt)
        else:
            self.call(HANDLERS.get(vector, device_interrupt), vector)


class BufferedCpu(Cpu):
    """A CPU with a store buffer: in Xen its stores go there. In the guest its buffer is empty."""

    __slots__ = ()

    def turn(self, w: Any) -> bool:
        if self.guest:
            return super().turn(w)
        w.memory.cpu = self.cpu
        try:
            return super().turn(w)
        finally:
            w.memory.cpu = NOBODY


interrupt_return = Procedure("iret")


@interrupt_return.step("returns from the interrupt")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.set_in_irq(a, -1)
    w.fence()
    a.irqs = True


event_check_interrupt = Procedure("event_check_interrupt", "vector")


@event_check_interrupt.step("acknowledges the interrupt, and has nothing else to do")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


invalidate_interrupt = Procedure("invalidate_interrupt", "vector")


@invalidate_interrupt.step("acknowledges the interrupt")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


@invalidate_interrupt.step("saves the state of a vCPU that is not current")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if w.curr_vcpu(a.cpu) != a.current:
        a.call(context_switch)


@invalidate_interrupt.step("says that it is done")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.fence()
    w.flush_mask &= ~(1 << a.cpu)


timer_interrupt = Procedure("apic_timer_interrupt", "vector")


@timer_interrupt.step("acknowledges the interrupt")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


@timer_interrupt.step("finds the time slice over")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.raise_softirq(a, SCHEDULE_SOFTIRQ)


device_interrupt = Procedure("do_IRQ", "vector")


@device_interrupt.step("acknowledges the interrupt")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.ack_apic_irq(a)


@device_interrupt.step("has a guest that owns it told, by softirq")
def _(w: Any, a: Actor, f: Frame) -> Any:
    msi = w.remapped_to_guest(f[FIRST])
    if msi is not None and msi not in w.dpci[a.cpu]:
        w.dpci[a.cpu].append(msi)
        w.raise_softirq(a, HVM_DPCI_SOFTIRQ)


HANDLERS = {
    EVENT_CHECK_VECTOR: event_check_interrupt,
    INVALIDATE_VECTOR: invalidate_interrupt,
    LOCAL_TIMER_VECTOR: timer_interrupt,
}


# Softirqs.

do_softirq = Procedure("do_softirq")


@do_softirq.step("takes the first pending softirq")
def take_softirq(w: Any, a: Actor, f: Frame) -> Any:
    pending = w.softirq_pending(a.cpu)
    if not pending:
        return DONE
    number = (pending & -pending).bit_length() - 1
    w.clear_softirq(a.cpu, number)
    if number == SCHEDULE_SOFTIRQ:
        a.call(schedule)
    elif number == HVM_DPCI_SOFTIRQ:
        a.call(dpci_softirq)
    w.effect = (CPU, a.cpu, f"softirq {NAMES.get(number, number)}", 1, 0)
    return take_softirq


NAMES = {
    SCHEDULE_SOFTIRQ: "SCHEDULE",
    TASKLET_SOFTIRQ: "TASKLET",
    VCPU_KICK_SOFTIRQ: "VCPU_KICK",
    HVM_DPCI_SOFTIRQ: "HVM_DPCI",
}

FIXED = COMPATIBILITY_DATA["vector"].mask
"""In fixed delivery mode there is nothing but a vector in what a guest's message says."""

dpci_softirq = Procedure("dpci_softirq")


@dpci_softirq.step("delivers a device's interrupt to its guest")
def deliver(w: Any, a: Actor, f: Frame) -> Any:
    if not w.dpci[a.cpu]:
        return None
    for v, vector in w.binding_of(w.dpci[a.cpu].pop(0)):
        if vector <= FIXED:
            w.posted(v, vector)
            a.call(vmx_deliver_posted_intr, v, vector)
    return deliver


# The idle loop.

idle_loop = Procedure("idle_loop")


@idle_loop.step("waits for work")
def idle(w: Any, a: Actor, f: Frame) -> Any:
    if a.cpu not in w.online:
        return dead
    if w.tasklets[a.cpu]:
        return tasklet
    if not w.memory.u32(w.softirqs[a.cpu]):
        return WAIT
    a.call(do_softirq)
    return idle


@idle_loop.step("saves the state of the vCPU that it interrupted, before a tasklet runs")
def tasklet(w: Any, a: Actor, f: Frame) -> Any:
    a.call(sync_local_execstate)


@idle_loop.step("runs the tasklet")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.effect = (CPU, a.cpu, "tasklets", w.tasklets[a.cpu], w.tasklets[a.cpu] - 1)
    w.tasklets[a.cpu] -= 1
    if w.leaving == a.cpu:
        w.stop_here(a.cpu)
        return dead
    if not w.tasklets[a.cpu]:
        effect = w.effect
        w.raise_softirq(a, SCHEDULE_SOFTIRQ)
        w.effect = effect
    return idle


@idle_loop.step("is offline")
def dead(w: Any, a: Actor, f: Frame) -> Any:
    return WAIT if a.cpu not in w.online else idle


# In and out of the guest.

look_for_interrupts = Procedure("hvm_vcpu_has_pending_irq", "v")
V = FIRST


@look_for_interrupts.step("moves PIR to IRR, whatever else is pending")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if w.version.always_syncs:
        sync(w, a, f[V])


@look_for_interrupts.step("looks for an event-channel upcall")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.result = UPCALL if f[V] in w.events else NOTHING
    return DONE if a.result else None


@look_for_interrupts.step("moves PIR to IRR before it searches IRR")
def _(w: Any, a: Actor, f: Frame) -> Any:
    sync(w, a, f[V])


@look_for_interrupts.step("searches IRR")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.result = INTERRUPT if w.highest_virtual(f[V]) >= 0 else NOTHING


NOTHING, UPCALL, INTERRUPT, TAKEN = range(4)
"""What is to be injected: `hvm_intsrc_none`, `_vector`, `_lapic`; TAKEN: the guest has taken all there was."""

vmx_do_vmentry = Procedure("vmx_asm_do_vmentry", "injected")
INJECTED = FIRST


@vmx_do_vmentry.step("looks for interrupts to inject")
def assist(w: Any, a: Actor, f: Frame) -> Any:
    f[INJECTED] = NOTHING
    a.call(look_for_interrupts, a.current)


@vmx_do_vmentry.step("decides what to inject")
def _(w: Any, a: Actor, f: Frame) -> Any:
    f[INJECTED] = a.result


@vmx_do_vmentry.step("disables interrupts and looks for softirqs")
def _(w: Any, a: Actor, f: Frame) -> Any:
    if w.softirq_pending(a.cpu):
        a.call(do_softirq)
        return assist
    a.irqs = False
    return None


@vmx_do_vmentry.step("prepares VM entry")
def _(w: Any, a: Actor, f: Frame) -> Any:
    a.call(vmx_vmenter_helper)


@vmx_do_vmentry.step("enters the guest")
def _(w: Any, a: Actor, f: Frame) -> Any:
    w.enter_guest(a)
    w.effect = (VCPU, a.current, "in the guest", 0, 1)


@vmx_do_vmentry.step("runs in the guest")
def in_guest(w: Any, a: Actor, f: Frame) -> Any:
    v = a.current
    if f[INJECTED] != TAKEN:
        if f[INJECTED] == UPCALL:
            f[INJECTED] = NOTHING
            w.events.pop(v, None)
            w.effect = (VCPU, v, "upcall pending", 1, 0)
            return in_guest
        vector = w.highest_virtual(v)
        if vector >= 0:
            w.take_virtual(v, vector)
            w.effect = (VCPU, v, f"vIRR bit {vector:#x}", 1, 0)
            return in_guest
        # Only VM entry and posted-interrupt processing add to the virtual IRR of a vCPU that is in the guest.
        f[INJECTED] = TAKEN
    action = w.guest_action(v)
    if not action:
        return WAIT
    leave_guest(w, a)
    if action == HALT:
        a.call(vcpu_block, v)
    elif action == SEND_IPI:
        a.call(vmx_deliver_posted_intr, *w.ipi_target(v))
    elif action == DOWN:
        a.call(hvm_vcpu_down, v)
    w.effect = (VCPU, v, EXITS[action], 1, 0)
    return assist


EXITS = {
    HALT: "in the guest, until HLT",
    HYPERCALL: "in the guest, until a hypercall",
    SEND_IPI: "in the guest, until an IPI",
    DOWN: "in the guest, until HLT with interrupts off",
}


def leave_guest(w: Any, a: Any) -> None:
    """VM exit: root mode, and what comes next is the way to VM entry again."""
    w.leave_guest(a)
    a.irqs = True
    a.stack[-1][1] = assist.pc
