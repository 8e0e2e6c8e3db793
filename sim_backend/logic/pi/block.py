"""A vCPU blocks: `vmx_vcpu_block`."""

from __future__ import annotations

from sim_backend.logic.context import CPU, VCPU, LogicContext
from sim_backend.logic.kinds import CPU_ID, NUMBER, PLACE
from sim_backend.logic.pi.stores import list_add, lock_taken, set_nv, unlock
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome, Procedure

V = FIRST


vmx_vcpu_block = Procedure("vmx_vcpu_block", v=PLACE, cpu=CPU_ID, irqs=NUMBER)
CPU_NUMBER, IRQS = FIRST + 1, FIRST + 2


@vmx_vcpu_block.step("disables interrupts")
def lock_list(w: LogicContext, a: Actor, f: Frame) -> None:
    f[IRQS], a.irqs = int(a.irqs), False


@vmx_vcpu_block.step("locks the blocking list of its CPU")
def take_list_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    cpu = w.memory.u32(f[V] + w.o.processor)
    if not lock_taken(w, w.blocking_lock(cpu)):
        return WAIT
    f[CPU_NUMBER] = cpu
    w.effect = (CPU, cpu, "blocking list locked", 0, 1)
    return None


@vmx_vcpu_block.step("notes which lock guards its node")
def note_list_lock(w: LogicContext, a: Actor, f: Frame) -> None:
    own = w.virtual(w.blocking_lock(f[CPU_NUMBER]))
    seen = w.memory.cmpxchg_u64(f[V] + w.o.node_lock, 0, own)
    w.effect = (VCPU, f[V], "pi_blocking.lock", seen, seen or own)


@vmx_vcpu_block.step("appends itself to the list")
def append_to_list(w: LogicContext, a: Actor, f: Frame) -> None:
    memory, o = w.memory, w.o
    node, head = f[V] + o.node, w.blocking_list(f[CPU_NUMBER])
    last = memory.u64(head + o.list_prev)
    list_add(w, node, w.physical(last), head)
    w.effect = (VCPU, f[V], "on the blocking list of CPU", -1, f[CPU_NUMBER])


@vmx_vcpu_block.step("unlocks the list")
def release_list_lock(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    unlock(w, w.blocking_lock(f[CPU_NUMBER]))
    a.irqs = bool(f[IRQS])
    w.effect = (CPU, f[CPU_NUMBER], "blocking list locked", 1, 0)
    return None if w.version.lists_before_nv else DONE


@vmx_vcpu_block.step("lets posts send the wakeup vector")
def nv_last(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_nv(w, f[V], w.memory.u8(w.pi_wakeup_vector))
    if w.version.blocks_in_order:
        w.memory.fence()
    return DONE


@vmx_vcpu_block.step("lets posts send the wakeup vector, before it is on a list")
def nv_first(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_nv(w, f[V], w.memory.u8(w.pi_wakeup_vector))
    return lock_list
