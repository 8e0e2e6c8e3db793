"""A CPU comes or goes: `vmx_pi_per_cpu_init`, `vmx_pi_desc_fixup`."""

from __future__ import annotations

from sim_backend.logic.context import SN, VCPU, LogicContext
from sim_backend.logic.kinds import CPU_ID, NUMBER, PLACE
from sim_backend.logic.pi.deliver import ON_MASK
from sim_backend.logic.pi.stores import (
    clear_bit,
    following,
    list_add,
    list_del,
    list_unlink,
    lock_taken,
    set_bit,
    set_ndst,
    set_node_lock,
    unlock,
)
from sim_backend.logic.pi.unblock import vcpu_unblock
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

SPINLOCK_NO_CPU = 0xFFF
SHARED_LOCK_SIZE = 4
"""Bytes of a spinlock that cannot be taken twice (4.19 on); a longer one has `recurse_cpu` behind the tickets."""
CPU_NUMBER = FIRST


vmx_pi_per_cpu_init = Procedure("vmx_pi_per_cpu_init", cpu=CPU_ID)


@vmx_pi_per_cpu_init.step("empties the CPU's blocking list and frees its lock")
def empty_list(w: LogicContext, a: Actor, f: Frame) -> None:
    memory, o = w.memory, w.o
    head, lock = w.blocking_list(f[CPU_NUMBER]), w.blocking_lock(f[CPU_NUMBER])
    own = w.virtual(head)
    memory.set_u64(head + o.list_next, own)
    memory.set_u64(head + o.list_prev, own)
    if o.lock_size > SHARED_LOCK_SIZE:
        memory.set_u64(lock, SPINLOCK_NO_CPU << 32)
    else:
        memory.set_u32(lock, 0)


vmx_pi_desc_fixup = Procedure("vmx_pi_desc_fixup", cpu=CPU_ID, node=PLACE, next=PLACE, new_cpu=CPU_ID, irqs=NUMBER)
NODE, NEXT, NEW_CPU, IRQS = FIRST + 1, FIRST + 2, FIRST + 3, FIRST + 4


@vmx_pi_desc_fixup.step("does nothing unless posting is on")
def check_fixup_applies(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.version.moves_blocked and w.memory.u8(w.iommu_intpost) else DONE


@vmx_pi_desc_fixup.step("disables interrupts")
def disable_interrupts(w: LogicContext, a: Actor, f: Frame) -> None:
    f[IRQS], a.irqs = int(a.irqs), False


@vmx_pi_desc_fixup.step("locks the dead CPU's blocking list")
def take_dead_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not lock_taken(w, w.blocking_lock(f[CPU_NUMBER])):
        return WAIT
    f[NODE] = w.physical(following(w, w.blocking_list(f[CPU_NUMBER])))
    f[NEXT] = following(w, f[NODE])
    return None


@vmx_pi_desc_fixup.step("suppresses the next vCPU's notifications")
def next_blocked(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if f[NODE] == w.blocking_list(f[CPU_NUMBER]):
        return end_of_fixup
    set_bit(w, f[NODE] - w.o.node, "sn", SN)
    return None


@vmx_pi_desc_fixup.step("looks whether a notification is outstanding; if not, it only moves")
def look_at_on(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.memory.u8(f[NODE] - w.o.node + w.o.control) & ON_MASK else move


@vmx_pi_desc_fixup.step("takes it off the list")
def unlist_notified(w: LogicContext, a: Actor, f: Frame) -> None:
    list_del(w, f[NODE])
    w.effect = (VCPU, f[NODE] - w.o.node, "on a blocking list", 1, 0)


@vmx_pi_desc_fixup.step("makes it forget the lock")
def forget_dead_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    set_node_lock(w, f[NODE] - w.o.node, 0)


@vmx_pi_desc_fixup.step("unblocks it")
def unblock_notified(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.call(vcpu_unblock, f[NODE] - w.o.node)
    return lift


@vmx_pi_desc_fixup.step("chooses an online CPU")
def move(w: LogicContext, a: Actor, f: Frame) -> None:
    f[NEW_CPU] = w.any_online_cpu()


@vmx_pi_desc_fixup.step("locks that CPU's blocking list")
def take_new_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if lock_taken(w, w.blocking_lock(f[NEW_CPU])) else WAIT


@vmx_pi_desc_fixup.step("directs its notifications there")
def direct_to_new_cpu(w: LogicContext, a: Actor, f: Frame) -> None:
    set_ndst(w, f[NODE] - w.o.node, f[NEW_CPU])


@vmx_pi_desc_fixup.step("moves it to the front of that list")
def move_to_new_list(w: LogicContext, a: Actor, f: Frame) -> None:
    list_unlink(w, f[NODE])
    head = w.blocking_list(f[NEW_CPU])
    list_add(w, f[NODE], head, w.physical(following(w, head)))
    w.effect = (VCPU, f[NODE] - w.o.node, "on the blocking list of CPU", f[CPU_NUMBER], f[NEW_CPU])


@vmx_pi_desc_fixup.step("notes which lock guards its node now")
def note_new_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    set_node_lock(w, f[NODE] - w.o.node, w.virtual(w.blocking_lock(f[NEW_CPU])))


@vmx_pi_desc_fixup.step("unlocks that list")
def release_new_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    unlock(w, w.blocking_lock(f[NEW_CPU]))


@vmx_pi_desc_fixup.step("lets posts notify again")
def lift(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    clear_bit(w, f[NODE] - w.o.node, "sn", SN)
    f[NODE] = w.physical(f[NEXT])
    f[NEXT] = following(w, f[NODE])
    return next_blocked


@vmx_pi_desc_fixup.step("unlocks the dead CPU's list")
def end_of_fixup(w: LogicContext, a: Actor, f: Frame) -> None:
    unlock(w, w.blocking_lock(f[CPU_NUMBER]))
    a.irqs = bool(f[IRQS])
