"""A vCPU is about to enter the guest: `vmx_pi_do_resume`."""

from __future__ import annotations

from sim_backend.logic.context import VCPU, LogicContext
from sim_backend.logic.kinds import NUMBER, PLACE
from sim_backend.logic.pi.stores import list_del, lock_taken, poison, set_node_lock, set_nv, unlock
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

V = FIRST


vmx_pi_unblock_vcpu = Procedure("vmx_pi_unblock_vcpu", v=PLACE, lock=PLACE, irqs=NUMBER, before=PLACE, after=PLACE)
LOCK, IRQS, BEFORE, AFTER = FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4


@vmx_pi_unblock_vcpu.step("lets posts send the notification vector")
def restore_nv(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_nv(w, f[V], w.memory.u8(w.posted_intr_vector))
    return None if w.version.resume_unlists else DONE


@vmx_pi_unblock_vcpu.step("looks which lock guards its node; none: it is on no list")
def leave_list(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    pointer = w.memory.u64(f[V] + w.o.node_lock)
    if not pointer:
        return DONE
    f[LOCK] = w.physical(pointer)
    return None


@vmx_pi_unblock_vcpu.step("disables interrupts")
def disable_interrupts(w: LogicContext, a: Actor, f: Frame) -> None:
    f[IRQS], a.irqs = int(a.irqs), False


@vmx_pi_unblock_vcpu.step("locks the list")
def take_list_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if lock_taken(w, f[LOCK]) else WAIT


@vmx_pi_unblock_vcpu.step("looks whether it is still on the list; another one may have taken it off")
def look_again_at_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    pointer = w.memory.u64(f[V] + w.o.node_lock)
    if not pointer:
        return unlock_list
    # Release builds do not ask whether it is still the list whose lock they took.
    return None if w.physical(pointer) == f[LOCK] else read_neighbours


@vmx_pi_unblock_vcpu.step("takes itself off the list")
def unlist(w: LogicContext, a: Actor, f: Frame) -> None:
    list_del(w, f[V] + w.o.node)
    w.effect = (VCPU, f[V], "on a blocking list", 1, 0)


@vmx_pi_unblock_vcpu.step("forgets the lock")
def forget_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    set_node_lock(w, f[V], 0)


@vmx_pi_unblock_vcpu.step("unlocks the list")
def unlock_list(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    unlock(w, f[LOCK])
    a.irqs = bool(f[IRQS])
    return DONE


# Its node has moved to another list meanwhile, whose lock it does not hold: others see the stores one by one.


@vmx_pi_unblock_vcpu.step("reads its neighbours on the list, which is another one by now")
def read_neighbours(w: LogicContext, a: Actor, f: Frame) -> None:
    node = f[V] + w.o.node
    f[BEFORE], f[AFTER] = w.memory.u64(node + w.o.list_prev), w.memory.u64(node + w.o.list_next)


@vmx_pi_unblock_vcpu.step("makes the one after it point to the one before it, with the wrong lock held")
def redirect_next(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.set_u64(w.physical(f[AFTER]) + w.o.list_prev, f[BEFORE])


@vmx_pi_unblock_vcpu.step("makes the one before it point to the one after it, with the wrong lock held")
def redirect_previous(w: LogicContext, a: Actor, f: Frame) -> None:
    w.memory.set_u64(w.physical(f[BEFORE]) + w.o.list_next, f[AFTER])


@vmx_pi_unblock_vcpu.step("poisons its node")
def poison_node(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    poison(w, f[V] + w.o.node)
    w.effect = (VCPU, f[V], "on a blocking list", 1, 0)
    return forget_lock


vmx_pi_do_resume = Procedure("vmx_pi_do_resume", v=PLACE)


@vmx_pi_do_resume.step("is called before VM entry")
def resume(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.version.resume_restores_nv:
        a.call(vmx_pi_unblock_vcpu, f[V])
    else:
        a.call_at(leave_list, vmx_pi_unblock_vcpu, f[V])


vmx_vmenter_helper = Procedure("vmx_vmenter_helper")


@vmx_vmenter_helper.step("calls the resume hook, if there is one")
def call_resume_hook(w: LogicContext, a: Actor, f: Frame) -> None:
    a.result = 1
    if w.memory.u64(w.domain_of(a.current) + w.o.block_hook):
        a.call(vmx_pi_do_resume, a.current)
