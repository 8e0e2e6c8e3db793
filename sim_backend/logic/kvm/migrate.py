"""A vCPU's thread is moved to another CPU (`set_cpus_allowed_ptr`, kernel/sched/core.c)."""

from __future__ import annotations

from sim_backend.logic.context import VCPU
from sim_backend.logic.kinds import CPU_ID, PLACE
from sim_backend.logic.kvm.context import KvmContext
from sim_backend.logic.kvm.procedure import KvmProcedure
from sim_backend.logic.kvm.schedule import enqueue, resched
from sim_backend.logic.program import FIRST, WAIT, Actor, Frame, Outcome

set_cpus_allowed = KvmProcedure("set_cpus_allowed_ptr", v=PLACE, cpu=CPU_ID)


@set_cpus_allowed.step("moves the thread: at once where it waits, else when it is switched out or woken")
def move(w: KvmContext, a: Actor, f: Frame) -> Outcome:
    v, cpu, state = f[FIRST], f[FIRST + 1], w.state
    if w.services.leaves_cpu(v):
        return WAIT
    queue = next((queue for queue in state.runq if v in queue), None)
    if queue is not None and not w.services.is_on_cpu(v):
        queue.remove(v)
        enqueue(w, a, v, cpu, True)
    elif queue is None:
        state.migrating[v] = cpu
        if v in state.scheduled:
            resched(w, a, state.scheduled.index(v))
    w.effect = (VCPU, v, "to be on CPU", w.memory.u32(v + w.o.cpu), cpu)
    return None
