"""A vCPU is unblocked or kicked (xen/common/sched/core.c, xen/arch/x86/domain.c)."""

from __future__ import annotations

from sim_backend.logic.context import VCPU, LogicContext
from sim_backend.logic.kinds import NUMBER, PLACE
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

VPF_BLOCKED = 0
"""_VPF_blocked: bit of `pause_flags`."""
VCPU_KICK_SOFTIRQ = 8
"""NR_COMMON_SOFTIRQS + 2."""
V = FIRST


vcpu_unblock = Procedure("vcpu_unblock", v=PLACE)


@vcpu_unblock.step("clears VPF_blocked; if it was clear, there is nothing to do")
def clear_blocked(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    was = w.memory.test_and_clear_bit(f[V] + w.o.pause_flags, VPF_BLOCKED)
    w.effect = (VCPU, f[V], "VPF_blocked", int(was), 0)
    if not was:
        return DONE
    return wake if not w.memory.u32(f[V] + w.o.poll_evtchn) else None


@vcpu_unblock.step("ends its poll")
def end_poll(w: LogicContext, a: Actor, f: Frame) -> None:
    memory, o, v = w.memory, w.o, f[V]
    memory.set_u32(v + o.poll_evtchn, 0)
    mask = memory.u64(w.domain_of(v) + o.poll_mask)
    number = memory.u32(v + o.vcpu_id)
    if mask and memory.test_and_clear_bit(w.physical(mask), number):
        memory.test_and_clear_bit(v + o.pause_flags, VPF_BLOCKED)


@vcpu_unblock.step("wakes it")
def wake(w: LogicContext, a: Actor, f: Frame) -> None:
    w.calls.vcpu_wake(a, f[V])


vcpu_kick = Procedure("vcpu_kick", v=PLACE, running=NUMBER)


@vcpu_kick.step("reads is_running")
def read_running(w: LogicContext, a: Actor, f: Frame) -> None:
    f[FIRST + 1] = w.memory.u8(f[V] + w.o.is_running)
    a.call(vcpu_unblock, f[V])


@vcpu_kick.step("has its CPU look again, if it runs elsewhere")
def have_cpu_look(w: LogicContext, a: Actor, f: Frame) -> None:
    if f[FIRST + 1] and (a.in_irq or f[V] != a.current):
        w.calls.cpu_raise_softirq(a, w.memory.u32(f[V] + w.o.processor), VCPU_KICK_SOFTIRQ)
