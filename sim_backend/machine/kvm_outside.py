"""What happens of itself outside of a machine with Linux and KVM, as a workload has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sim_backend.logic.context import CPU
from sim_backend.logic.kvm.context import REQ_NMI
from sim_backend.logic.kvm.wake import kvm_make_request
from sim_backend.machine.outside import Outside, emulated, migrate, timer

if TYPE_CHECKING:
    from sim_backend.machine.kvm import KvmEnvironment


def happens(m: KvmEnvironment, outside: Outside, name: str) -> bool:
    """What a workload's rate of that name is about happens; False if it cannot be now, or there is none such here."""
    happening = _HAPPENINGS.get(name)
    return happening is not None and happening(m, outside)


def _event(m: KvmEnvironment, outside: Outside) -> bool:
    v = m.context.guests.any_vcpu()
    if not v:
        return False
    outside.call(kvm_make_request, v, REQ_NMI)
    return outside.begin(m.context)


def _tasklet(m: KvmEnvironment, outside: Outside) -> bool:
    w = m.context
    cpu = w.state.active[w.chance.below(len(w.state.active))]
    m.tasklet(cpu)
    w.words, w.effect = ("host", "has another thread run on a CPU"), (CPU, cpu, "other threads", 0, 1)
    return True


def _hotplug(m: KvmEnvironment, outside: Outside) -> bool:
    w = m.context
    devices = list(w.devices)
    if not devices or m.toolstack_busy():
        return False
    sid = devices[w.chance.below(len(devices))]
    if m.is_connected(sid):
        m.deassign(sid)
        w.words = ("operator", "asks for a device back")
    else:
        vms = list(m.layout.domains)
        m.assign(sid, w.state.owners.get(sid, vms[w.chance.below(len(vms))]))
        w.words = ("operator", "assigns a device")
    return True


_HAPPENINGS: Mapping[str, Callable[[KvmEnvironment, Outside], bool]] = {
    "timer": timer,
    "event": _event,
    "emulated": emulated,
    "tasklet": _tasklet,
    "migrate": migrate,
    "hotplug": _hotplug,
}
"""By rate of a workload, what happens so often."""
