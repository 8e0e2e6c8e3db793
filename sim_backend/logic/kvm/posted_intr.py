"""A vCPU's descriptor while the vCPU is loaded, put and woken (arch/x86/kvm/vmx/posted_intr.c)."""

from __future__ import annotations

from sim_backend.logic.context import CPU, ON, PIR_WORDS, SN, VCPU
from sim_backend.logic.kinds import CONTROL, CPU_ID, NUMBER, PLACE
from sim_backend.logic.kvm.context import (
    CONTROL_NDST,
    POSTED_INTR_VECTOR,
    POSTED_INTR_WAKEUP_VECTOR,
    KvmContext,
)
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.stores import (
    clear_bit,
    following,
    list_add_tail,
    list_del,
    nv_of,
    set_bit,
    spin_lock_taken,
    spin_unlock,
    with_nv,
)
from sim_backend.logic.kvm.wake import kvm_vcpu_wake_up
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome

V = FIRST
PIR_BYTES = 8 * PIR_WORDS
U32 = (1 << 32) - 1


def nv(w: KvmContext, v: int) -> int:
    """NV of a vCPU's descriptor."""
    return w.memory.u8(v + w.o.nv)


def same_place(w: KvmContext, v: int, cpu: int) -> bool:
    """Whether a vCPU was loaded on that CPU before."""
    return w.memory.u32(v + w.o.cpu) == cpu


vmx_vcpu_pi_load = KvmProcedure("vmx_vcpu_pi_load", v=PLACE, cpu=CPU_ID, irqs=NUMBER, old=CONTROL)
LOAD_CPU, LOAD_IRQS, LOAD_OLD = range(FIRST + 1, FIRST + 4)


@vmx_vcpu_pi_load.step("looks whether neither NV nor NDST needs to change")
def look_for_changes(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if nv(w, f[V]) != POSTED_INTR_WAKEUP_VECTOR and same_place(w, f[V], f[LOAD_CPU]):
        return lift
    return None


@vmx_vcpu_pi_load.step("disables interrupts, and looks whether it is on a wakeup list")
def look_for_list(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    f[LOAD_IRQS], a.irqs = int(a.irqs), False
    return None if nv(w, f[V]) == POSTED_INTR_WAKEUP_VECTOR and w.version.load_unlists else read_control


@vmx_vcpu_pi_load.step("locks the wakeup list of the CPU where it blocked")
def lock_list(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if spin_lock_taken(w, guard(w, f)) else WAIT


@vmx_vcpu_pi_load.step("takes it off that list")
def unlist(w: KvmContext, a: Actor, f: Frame) -> None:
    list_del(w, f[V] + w.o.node)
    w.effect = (VCPU, f[V], "on a wakeup list", 1, 0)


@vmx_vcpu_pi_load.step("unlocks the list")
def unlock_list(w: KvmContext, a: Actor, f: Frame) -> None:
    spin_unlock(w, guard(w, f))


@vmx_vcpu_pi_load.step("reads the control word")
def read_control(w: KvmContext, a: Actor, f: Frame) -> None:
    f[LOAD_OLD] = w.memory.u64(f[V] + w.o.control)


@vmx_vcpu_pi_load.step("writes it back with SN clear, NDST its CPU and NV the notification vector; again if it changed")
def direct(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    old = f[LOAD_OLD]
    new = old & ~(1 << SN)
    if w.version.load_directs:
        new = new & U32 | w.addresses.destinations[f[LOAD_CPU]] << CONTROL_NDST
    if w.version.load_restores_nv:
        new = with_nv(new, POSTED_INTR_VECTOR)
    seen = w.memory.cmpxchg_u64(f[V] + w.o.control, old, new)
    w.effect = (VCPU, f[V], "control word", old, new if seen == old else seen)
    if seen != old:
        f[LOAD_OLD] = seen
        return direct
    return None


@vmx_vcpu_pi_load.step("restores interrupts")
def restore_interrupts(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = bool(f[LOAD_IRQS])
    f[LOAD_OLD] = 0
    return None if w.version.load_sees_pir else DONE


@vmx_vcpu_pi_load.step("looks whether anything was posted meanwhile")
def look_at_pir(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if any(w.memory.read(f[V] + w.o.pir, PIR_BYTES)) else DONE


@vmx_vcpu_pi_load.step("sets ON, for what was posted")
def set_on(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    set_bit(w, f[V], "on", ON)
    return DONE


@vmx_vcpu_pi_load.step("lets posts notify again, if they did not")
def lift(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return look_at_pir if clear_bit(w, f[V], "sn", SN) and w.version.load_sees_pir else DONE


def guard(w: KvmContext, f: Frame) -> int:
    """The lock under which a vCPU that is loaded is taken off its list."""
    cpu = w.memory.u32(f[V] + w.o.cpu) if w.version.load_locks_previous else f[LOAD_CPU]
    return w.addresses.locks[cpu]


pi_enable_wakeup_handler = KvmProcedure("pi_enable_wakeup_handler", v=PLACE, irqs=NUMBER, old=CONTROL)
PUT_IRQS, PUT_OLD = FIRST + 1, FIRST + 2


@pi_enable_wakeup_handler.step("disables interrupts")
def disable_interrupts(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    f[PUT_IRQS], a.irqs = int(a.irqs), False
    return None if w.version.put_lists_first else read_control_to_put


@pi_enable_wakeup_handler.step("locks the wakeup list of its CPU")
def lock_own_list(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if spin_lock_taken(w, w.addresses.locks[w.memory.u32(f[V] + w.o.cpu)]) else WAIT


@pi_enable_wakeup_handler.step("goes onto that list")
def enlist(w: KvmContext, a: Actor, f: Frame) -> None:
    list_add_tail(w, f[V] + w.o.node, w.addresses.lists[w.memory.u32(f[V] + w.o.cpu)])
    w.effect = (VCPU, f[V], "on a wakeup list", 0, 1)


@pi_enable_wakeup_handler.step("unlocks the list")
def unlock_own_list(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    spin_unlock(w, w.addresses.locks[w.memory.u32(f[V] + w.o.cpu)])
    return None if w.version.put_lists_first else note_on


@pi_enable_wakeup_handler.step("reads the control word, before it has NV name the wakeup vector")
def read_control_to_put(w: KvmContext, a: Actor, f: Frame) -> None:
    f[PUT_OLD] = w.memory.u64(f[V] + w.o.control)


@pi_enable_wakeup_handler.step("writes it back with NV the wakeup vector; again if it changed")
def wake_by_interrupt(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    old, place = f[PUT_OLD], f[V] + w.o.control
    new = with_nv(old, POSTED_INTR_WAKEUP_VECTOR)
    if w.version.put_keeps_control:
        seen = w.memory.cmpxchg_u64(place, old, new)
    else:
        seen = old
        w.memory.set_u64(place, new)
    w.effect = (VCPU, f[V], "nv", nv_of(old), nv_of(new if seen == old else seen))
    if seen != old:
        f[PUT_OLD] = seen
        return wake_by_interrupt
    f[PUT_OLD] = new
    return None if w.version.put_lists_first else lock_own_list


@pi_enable_wakeup_handler.step("interrupts its own CPU, if a notification was outstanding")
def note_on(w: KvmContext, a: Actor, f: Frame) -> None:
    if f[PUT_OLD] >> ON & 1 and w.version.put_notes_on:
        w.services.send_ipi(a, a.cpu, POSTED_INTR_WAKEUP_VECTOR)


@pi_enable_wakeup_handler.step("restores interrupts after that")
def restore_interrupts_of_put(w: KvmContext, a: Actor, f: Frame) -> None:
    a.irqs = bool(f[PUT_IRQS])


pi_enable_wakeup_handler.forget_at()

vmx_vcpu_pi_put = KvmProcedure("vmx_vcpu_pi_put", v=PLACE, listed=NUMBER)

LISTED = FIRST + 1


@vmx_vcpu_pi_put.step("looks whether devices may post to it")
def look_for_devices(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    return None if w.posts(w.addresses.vms[f[V]]) else DONE


@vmx_vcpu_pi_put.step("looks whether it blocks, with interrupts enabled")
def look_for_blocking(w: KvmContext, a: Actor, f: Frame) -> None:
    v = f[V]
    blocks = w.memory.u64(v + w.o.wait) != 0 and v not in w.state.masked
    f[LISTED] = int(blocks and (w.version.lists_preempted or not w.memory.u8(v + w.o.preempted)))
    if f[LISTED]:
        a.call(pi_enable_wakeup_handler, v)


@vmx_vcpu_pi_put.step("looks whether it was preempted: suppresses notifications")
def suppress(w: KvmContext, a: Actor, f: Frame) -> None:
    if w.memory.u8(f[V] + w.o.preempted) or (w.version.put_always_suppresses and not f[LISTED]):
        set_bit(w, f[V], "sn", SN)


vmx_vcpu_pi_load.forget_at()
vmx_vcpu_pi_put.forget_at()

pi_wakeup_handler = KvmProcedure("pi_wakeup_handler", node=PLACE)
NODE = FIRST


@pi_wakeup_handler.step("locks this CPU's wakeup list")
def lock_this_list(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if not spin_lock_taken(w, w.addresses.locks[a.cpu]):
        return WAIT
    f[NODE] = following(w, w.addresses.lists[a.cpu])
    w.effect = (CPU, a.cpu, "wakeup list locked", 0, 1)
    return None


@pi_wakeup_handler.step("looks at the next vCPU: is a notification outstanding?")
def next_sleeper(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if f[NODE] == w.addresses.lists[a.cpu]:
        return end_of_wakeup
    v = f[NODE] - w.o.node
    on = w.memory.u8(v + w.o.control) & 1 << ON
    w.effect = (VCPU, v, "on", on, on)
    if not on:
        return pass_by
    a.call(kvm_vcpu_wake_up, v)
    return None if w.version.wakeup_wakes_all else end_of_wakeup


@pi_wakeup_handler.step("goes on")
def pass_by(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    f[NODE] = following(w, f[NODE])
    return next_sleeper


@pi_wakeup_handler.step("unlocks the list")
def end_of_wakeup(w: KvmContext, a: Actor, f: Frame) -> None:
    spin_unlock(w, w.addresses.locks[a.cpu])
    w.effect = (CPU, a.cpu, "wakeup list locked", 1, 0)
