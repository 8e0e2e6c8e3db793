"""A vCPU is about to enter the guest: `vmx_pi_do_resume`."""

from __future__ import annotations

from typing import Any

from sim_backend.pi_logic.stores import list_del, lock_taken, set_node_lock, set_nv, unlock
from sim_backend.program import DONE, FIRST, WAIT, Actor, Frame, Procedure
from sim_backend.world import VCPU, World

V = FIRST


vmx_pi_unblock_vcpu = Procedure("vmx_pi_unblock_vcpu", "v", "lock", "irqs")
LOCK, IRQS = FIRST + 1, FIRST + 2


@vmx_pi_unblock_vcpu.step("lets posts send the notification vector")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_nv(w, f[V], w.memory.u8(w.posted_intr_vector))


@vmx_pi_unblock_vcpu.step("looks which lock guards its node; none: it is on no list")
def _(w: World, a: Actor, f: Frame) -> Any:
    pointer = w.memory.u64(f[V] + w.o.node_lock)
    if not pointer:
        return DONE
    f[LOCK] = w.physical(pointer)
    return None


@vmx_pi_unblock_vcpu.step("disables interrupts")
def _(w: World, a: Actor, f: Frame) -> Any:
    f[IRQS], a.irqs = int(a.irqs), False


@vmx_pi_unblock_vcpu.step("locks the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if lock_taken(w, f[LOCK]) else WAIT


@vmx_pi_unblock_vcpu.step("looks whether it is still on the list; another one may have taken it off")
def _(w: World, a: Actor, f: Frame) -> Any:
    return None if w.memory.u64(f[V] + w.o.node_lock) else unlock_list


@vmx_pi_unblock_vcpu.step("takes itself off the list")
def _(w: World, a: Actor, f: Frame) -> Any:
    list_del(w, f[V] + w.o.node)
    w.effect = (VCPU, f[V], "on a blocking list", 1, 0)


@vmx_pi_unblock_vcpu.step("forgets the lock")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_node_lock(w, f[V], 0)


@vmx_pi_unblock_vcpu.step("unlocks the list")
def unlock_list(w: World, a: Actor, f: Frame) -> Any:
    unlock(w, f[LOCK])
    a.irqs = bool(f[IRQS])


vmx_pi_do_resume = Procedure("vmx_pi_do_resume", "v")


@vmx_pi_do_resume.step("is called before VM entry")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.call(vmx_pi_unblock_vcpu, f[V])


vmx_vmenter_helper = Procedure("vmx_vmenter_helper")


@vmx_vmenter_helper.step("calls the resume hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    a.result = 1
    if w.memory.u64(w.domain_of(a.current) + w.o.block_hook):
        a.call(vmx_pi_do_resume, a.current)
