"""A vCPU is woken or kicked (virt/kvm/kvm_main.c)."""

from __future__ import annotations

from sim_backend.logic.context import VCPU
from sim_backend.logic.kinds import NUMBER, PLACE
from sim_backend.logic.kvm.context import EXITING_GUEST_MODE, IN_GUEST_MODE, RESCHEDULE_VECTOR, KvmContext
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.program import DONE, FIRST, WAIT, Actor, Frame, Outcome

V = FIRST

kvm_vcpu_wake_up = KvmProcedure("kvm_vcpu_wake_up", v=PLACE)


@kvm_vcpu_wake_up.step("looks who waits; nobody does: nothing to do")
def look_who_waits(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    w.memory.fence()
    waits = w.memory.u64(f[V] + w.o.wait)
    w.effect = (VCPU, f[V], "blocking", int(waits != 0), int(waits != 0))
    a.result = 0
    return None if waits else DONE


@kvm_vcpu_wake_up.step("lets its thread run, if that sleeps")
def wake_thread(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    if w.services.leaves_cpu(f[V]):
        return WAIT
    woken = w.services.wake_up_process(a, f[V])
    a.result = int(woken)
    return None if woken else DONE


@kvm_vcpu_wake_up.step("notes that it is ready to run")
def note_ready(w: KvmContext, a: Actor, f: Frame) -> None:
    w.memory.set_u8(f[V] + w.o.ready, 1)
    a.result = 1


kvm_vcpu_kick = KvmProcedure("kvm_vcpu_kick", v=PLACE)


@kvm_vcpu_kick.step("wakes it, if it blocks")
def wake_first(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_wake_up, f[V])


@kvm_vcpu_kick.step("has it leave the guest, if it is there")
def have_leave(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    v, place = f[V], f[V] + w.o.mode
    if a.result or w.memory.u32(place) != IN_GUEST_MODE:
        return DONE
    w.effect = (VCPU, v, "mode", IN_GUEST_MODE, EXITING_GUEST_MODE)
    w.memory.set_u32(place, EXITING_GUEST_MODE)
    w.memory.fence()
    return DONE if w.services.runs_here(a, v) else None


@kvm_vcpu_kick.step("interrupts its CPU")
def interrupt(w: KvmContext, a: Actor, f: Frame) -> None:
    cpu = w.memory.u32(f[V] + w.o.cpu)
    if cpu != a.cpu:
        w.services.send_ipi(a, cpu, RESCHEDULE_VECTOR)


kvm_make_request = KvmProcedure("kvm_make_vcpu_request", v=PLACE, request=NUMBER)
"""As `kvm_make_all_cpus_request` does for each vCPU, and a request with a kick after it."""


@kvm_make_request.step("makes the request")
def make(w: KvmContext, a: Actor, f: Frame) -> None:
    was = w.memory.test_and_set_bit(f[V] + w.o.requests, f[FIRST + 1])
    w.effect = (VCPU, f[V], ("request {}", f[FIRST + 1]), int(was), 1)


@kvm_make_request.step("kicks it")
def kick(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(kvm_vcpu_kick, f[V])
