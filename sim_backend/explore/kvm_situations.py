"""Where vCPUs of a simulated machine with KVM stand, told from the machine (`inspector.analysis`: from a snapshot)."""

from __future__ import annotations

from typing import Any

from sim_backend.logic.kvm.context import NO_CPU, POSTED_INTR_WAKEUP_VECTOR

K_SITUATIONS = {
    "K1": "in the guest",
    "K2": "loaded, outside of the guest",
    "K3": "about to block: it is loaded, and said to wait",
    "K4": "blocked, on a wakeup list",
    "K5": "blocked, and on no list: interrupts are masked, or no device may post to it",
    "K6": "woken, and not loaded yet",
    "K7": "preempted",
    "K8": "preempted while it was about to block, on a wakeup list",
    "K9": "put, and neither blocked nor preempted",
    "K10": "never loaded",
}


def situation(m: Any, v: int) -> str:
    """Where a vCPU stands: K1 to K10."""
    memory, o, w = m.memory, m.o, m.context
    cpu = memory.u32(v + o.cpu)
    if cpu == NO_CPU:
        return "K10"
    waits = memory.u64(v + o.wait) != 0
    if memory.u64(w.addresses.running[cpu]) == w.virtual(v):
        if any(each.current == v and each.guest for each in m.cpus):
            return "K1"
        return "K3" if waits else "K2"
    wakes = memory.u8(v + o.nv) == POSTED_INTR_WAKEUP_VECTOR
    if memory.u8(v + o.preempted):
        return "K8" if wakes else "K7"
    if not waits:
        return "K9"
    if memory.u32(w.addresses.tasks[v] + o.task_state) == 0:
        return "K6"
    return "K4" if wakes else "K5"
