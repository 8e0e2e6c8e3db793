"""What happens of itself outside of the machine: timers, event channels, emulated devices, an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim_backend.logic.actors import Beside, mark_events_pending
from sim_backend.logic.context import CPU, Context
from sim_backend.logic.guests import FIRST_GUEST_VECTOR, GUEST_VECTORS
from sim_backend.logic.kinds import IDENTITY
from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.logic.scheduler import SCHEDULE_SOFTIRQ, vcpu_pause, vcpu_unpause
from sim_backend.logic.workload import INCREMENT, MULTIPLIER, OUT_OF, U64

if TYPE_CHECKING:
    from sim_backend.machine.environment import Environment
    from sim_backend.machine.orders import Orders
    from sim_backend.machine.parts import Parts


@dataclass(slots=True, eq=False)
class Outside(Beside):
    """Timers, event channels and emulated devices, and an operator who moves things about, as the workload has it."""

    machine: Parts[Any] = field(kw_only=True, metadata=IDENTITY)

    @classmethod
    def of(cls, machine: Parts[Any]) -> Outside:
        """The one around that machine."""
        return cls(ActorId(ActorKind.OUTSIDE), ActorKind.OUTSIDE.value, machine=machine)

    def turn(self, w: Context) -> bool:
        """Do what chance has it do, most often nothing; or go on with that."""
        if self.stack:
            return self.advance(w)
        load = w.workload
        if not load.outside_total:
            return False
        # `below`, without the calls: this is drawn at every other step.
        state = w.state
        state.random = (state.random * MULTIPLIER + INCREMENT) & U64
        draw = (state.random >> 40) % OUT_OF
        if draw >= load.outside_total:
            return False
        for name, rate in load.outside:
            if draw < rate:
                return self.machine.happen(self, name)
            draw -= rate
        return False


def timer(m: Orders[Any], outside: Outside) -> bool:
    """A CPU's timer ends a time slice."""
    w = m.context
    cpu = w.state.active[w.chance.below(len(w.state.active))]
    w.services.send_ipi(outside, cpu, m.timer_vector)
    w.words, w.effect = ("timer", "ends a time slice"), (CPU, cpu, "timer interrupt", 0, 1)
    return True


def emulated(m: Orders[Any], outside: Outside) -> bool:
    """Software posts a vector to a vCPU."""
    w = m.context
    v = w.guests.any_vcpu()
    if not v:
        return False
    outside.call(m.delivery, v, FIRST_GUEST_VECTOR + w.chance.below(GUEST_VECTORS))
    return outside.begin(w)


def migrate(m: Orders[Any], outside: Outside) -> bool:
    """A vCPU is to go to another CPU."""
    w = m.context
    v = w.guests.any_vcpu()
    if not v or v in w.state.migrating or m.toolstack_busy():
        return False
    m.migrate(v, w.state.active[w.chance.below(len(w.state.active))])
    w.words = ("operator", "asks for a migration")
    return True


def xen_happens(m: Environment, outside: Outside, name: str) -> bool:
    """What a workload's rate of that name is about happens to a machine with Xen; False if it cannot be now."""
    return _HAPPENINGS[name](m, outside)


def _event(m: Environment, outside: Outside) -> bool:
    w = m.context
    v = w.guests.any_vcpu()
    if not v or v in w.state.events:
        return False
    outside.call(mark_events_pending, v)
    return outside.begin(w)


def _tasklet(m: Environment, outside: Outside) -> bool:
    w = m.context
    cpu = w.state.active[w.chance.below(len(w.state.active))]
    w.state.tasklets[cpu] += 1
    w.services.cpu_raise_softirq(outside, cpu, SCHEDULE_SOFTIRQ)
    w.words, w.effect = ("tasklet_schedule", "has a CPU run a tasklet"), (CPU, cpu, "tasklets", 0, 1)
    return True


def _pause(m: Environment, outside: Outside) -> bool:
    w = m.context
    v = w.guests.any_vcpu()
    if not v or m.toolstack_busy():
        return False
    paused = w.memory.u32(v + w.o.pause_count)
    m.order(vcpu_unpause if paused else vcpu_pause, v)
    w.words = ("operator", "unpauses a vCPU" if paused else "pauses a vCPU")
    return True


def _hotplug(m: Environment, outside: Outside) -> bool:
    w = m.context
    devices = list(w.devices)
    if not devices or m.toolstack_busy():
        return False
    sid = devices[w.chance.below(len(devices))]
    domains = w.guests.domain_numbers()
    if w.passthrough.owner(sid) is not None:
        m.deassign(sid)
        w.words = ("operator", "asks for a device back")
    else:
        m.assign(sid, domains[w.chance.below(len(domains))])
        w.words = ("operator", "assigns a device")
    return True


def _offline(m: Environment, outside: Outside) -> bool:
    w = m.context
    cpu = w.chance.below(w.layout.config.cpus)
    if not cpu or m.toolstack_busy():
        return False
    if cpu not in w.state.online:
        m.bring_online(cpu)
        w.words = ("operator", "asks for a CPU")
    elif len(w.state.active) > 1:
        m.offline(cpu)
        w.words = ("operator", "takes a CPU offline")
    return True


_HAPPENINGS: Mapping[str, Callable[[Environment, Outside], bool]] = {
    "timer": timer,
    "event": _event,
    "emulated": emulated,
    "tasklet": _tasklet,
    "migrate": migrate,
    "pause": _pause,
    "hotplug": _hotplug,
    "offline": _offline,
}
"""By rate of a workload, what happens so often."""
