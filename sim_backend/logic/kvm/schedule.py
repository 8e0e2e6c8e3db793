"""Threads take turns on a CPU (kernel/sched/core.c), and what KVM does then (virt/kvm/kvm_main.c).

What is done under the run queue's lock is one step. The policy is a round robin on each CPU; a CPU that would idle
takes over what waits elsewhere. A thread that does not run has its kernel stack in `KvmState.threads`.
"""

from __future__ import annotations

from sim_backend.logic.context import CPU, VCPU
from sim_backend.logic.kinds import CPU_ID, NUMBER, PLACE
from sim_backend.logic.kvm.context import RESCHEDULE_VECTOR, TASK_RUNNING, KvmContext
from sim_backend.logic.kvm.posted_intr import vmx_vcpu_pi_load, vmx_vcpu_pi_put
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.program import DONE, FIRST, PROCEDURE, Actor, Frame, Outcome

OTHER = 0
"""The thread of no vCPU: the idle one, or another one of the host."""


def enqueue(w: KvmContext, a: Actor, v: int, cpu: int, moved: bool = False) -> None:
    """Put a vCPU's thread into a CPU's queue, and have a CPU choose again: that one if the thread was moved there, else
    one that could run it."""
    state = w.state
    state.runq[cpu].append(v)
    idle = [each for each in state.active if state.scheduled[each] == OTHER and not state.tasklets[each]]
    resched(w, a, cpu if moved or cpu in idle or not idle else idle[0])


def resched(w: KvmContext, a: Actor, cpu: int) -> None:
    """Have a CPU choose another thread. Source: `resched_curr`."""
    was, w.state.reschedule[cpu] = w.state.reschedule[cpu], 1
    if not was and cpu != a.cpu:
        w.services.send_ipi(a, cpu, RESCHEDULE_VECTOR)


def runnable(w: KvmContext, v: int) -> bool:
    """Whether a vCPU's thread is to go on."""
    return w.memory.u32(w.addresses.tasks[v] + w.o.task_state) == TASK_RUNNING


def choose(w: KvmContext, cpu: int) -> int:
    """The vCPU whose thread a CPU is to run next, or OTHER."""
    state = w.state
    if state.tasklets[cpu]:
        return OTHER
    if state.runq[cpu]:
        return state.runq[cpu].pop(0)
    for other in state.active:
        for v in state.runq[other]:
            # One that has not left its CPU yet is still there under that one's lock.
            if not w.services.is_on_cpu(v):
                state.runq[other].remove(v)
                return v
    return OTHER


schedule = KvmProcedure("schedule", preempts=NUMBER, prev=PLACE, next=PLACE, stays=NUMBER)
"""`preempts`: whether it is done to the thread, which then stays runnable whatever it has said of itself."""
PREEMPTS, PREV, NEXT, STAYS = range(FIRST, FIRST + 4)


@schedule.step("disables interrupts, and chooses what to run")
def choose_next(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    state, cpu = w.state, a.cpu
    prev = state.scheduled[cpu]
    w.memory.fence()
    state.reschedule[cpu] = 0
    stays = prev != OTHER and bool(f[PREEMPTS] or runnable(w, prev))
    if stays and prev not in state.migrating:
        state.runq[cpu].append(prev)
    following = choose(w, cpu)
    if following == prev:
        w.effect = (CPU, cpu, "thread", prev, prev)
        return DONE
    f[PREV], f[NEXT], f[STAYS] = prev, following, int(stays)
    state.scheduled[cpu] = following
    a.irqs = False
    if prev != OTHER:
        w.memory.set_u32(w.addresses.tasks[prev] + w.o.on_rq, int(stays))
        a.call(kvm_sched_out, prev)
    w.effect = (CPU, cpu, "thread", prev, following)
    return None


@schedule.step("switches to the next thread")
def switch(w: KvmContext, a: Actor, f: Frame) -> None:
    prev, following, state = f[PREV], f[NEXT], w.state
    if prev != OTHER:
        w.services.set_on_cpu(prev, 0)
        # Where it goes on is stored in its frame once this step is over.
        state.threads[prev] = a.stack.copy()
        if f[STAYS] and prev in state.migrating:
            enqueue(w, a, prev, state.migrating.pop(prev), True)
    w.services.set_current(a, following)
    a.stack[:] = state.threads.pop(following) if following != OTHER else [w.services.idle_frame()]
    if following != OTHER:
        w.services.set_on_cpu(following, 1)
    w.memory.fence()
    # Until its vCPU is loaded, whichever way it came here.
    state.unpreemptible[a.cpu] = int(following != OTHER)
    # The idle thread, and one that was never here before, are not in the middle of a switch.
    a.irqs = a.stack[-1][PROCEDURE] != schedule.number


@schedule.step("enables interrupts; its vCPU is there again")
def finish_switch(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    a.irqs = True
    a.call(kvm_sched_in, w.state.scheduled[a.cpu])
    return DONE


kvm_sched_out = KvmProcedure("kvm_sched_out", v=PLACE)
V = FIRST


@kvm_sched_out.step("notes that it is scheduled out, and whether it was preempted")
def note_out(w: KvmContext, a: Actor, f: Frame) -> None:
    v, o, memory = f[V], w.o, w.memory
    memory.set_u8(v + o.scheduled_out, 1)
    preempted = memory.u32(w.addresses.tasks[v] + o.on_rq) and memory.u8(v + o.wants_to_run)
    if preempted:
        memory.set_u8(v + o.preempted, 1)
        memory.set_u8(v + o.ready, 1)
    a.call(vmx_vcpu_pi_put, v)
    w.effect = (VCPU, v, "preempted", 0, int(bool(preempted)))


@kvm_sched_out.step("says that no vCPU runs here")
def forget_running(w: KvmContext, a: Actor, f: Frame) -> None:
    w.services.set_running_vcpu(a.cpu, OTHER)


kvm_sched_in = KvmProcedure("kvm_sched_in", v=PLACE)


@kvm_sched_in.step("notes that it is no longer preempted, and runs here")
def note_in(w: KvmContext, a: Actor, f: Frame) -> None:
    v, o, memory = f[V], w.o, w.memory
    was = memory.u8(v + o.preempted)
    memory.set_u8(v + o.preempted, 0)
    memory.set_u8(v + o.ready, 0)
    w.services.set_running_vcpu(a.cpu, v)
    a.call(kvm_arch_vcpu_load, v, a.cpu)
    w.effect = (VCPU, v, "preempted", was, 0)


@kvm_sched_in.step("notes that it is scheduled in")
def note_scheduled_in(w: KvmContext, a: Actor, f: Frame) -> None:
    w.memory.set_u8(f[V] + w.o.scheduled_out, 0)
    w.state.unpreemptible[a.cpu] = 0


kvm_arch_vcpu_load = KvmProcedure("kvm_arch_vcpu_load", v=PLACE, cpu=CPU_ID)


@kvm_arch_vcpu_load.step("loads its VMCS and its descriptor")
def load_descriptor(w: KvmContext, a: Actor, f: Frame) -> None:
    a.call(vmx_vcpu_pi_load, f[V], f[FIRST + 1])


@kvm_arch_vcpu_load.step("notes on which CPU it is")
def note_cpu(w: KvmContext, a: Actor, f: Frame) -> None:
    place = f[V] + w.o.cpu
    w.effect = (VCPU, f[V], "cpu", w.memory.u32(place), f[FIRST + 1])
    w.memory.set_u32(place, f[FIRST + 1])


for each in (schedule, kvm_sched_out, kvm_sched_in, kvm_arch_vcpu_load):
    each.forget_at()
