"""What happens of itself outside of the machine: timers, event channels, emulated devices, an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sim_backend.logic.actors import Beside, mark_events_pending
from sim_backend.logic.context import CPU, LogicContext
from sim_backend.logic.guests import FIRST_GUEST_VECTOR, GUEST_VECTORS
from sim_backend.logic.kinds import IDENTITY
from sim_backend.logic.pi import vmx_deliver_posted_intr
from sim_backend.logic.program import ActorId, ActorKind
from sim_backend.logic.scheduler import LOCAL_TIMER_VECTOR, SCHEDULE_SOFTIRQ, vcpu_pause, vcpu_unpause
from sim_backend.logic.workload import INCREMENT, MULTIPLIER, OUT_OF, U64

if TYPE_CHECKING:
    from sim_backend.machine.environment import Environment


@dataclass(slots=True, eq=False)
class Outside(Beside):
    """Timers, event channels and emulated devices, and an operator who moves things about, as the workload has it."""

    environment: Environment = field(kw_only=True, metadata=IDENTITY)

    @classmethod
    def of(cls, environment: Environment) -> Outside:
        """The one that gives orders to that environment."""
        return cls(ActorId(ActorKind.OUTSIDE), ActorKind.OUTSIDE.value, environment=environment)

    def turn(self, w: LogicContext) -> bool:
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
                return _HAPPENINGS[name](self, w)
            draw -= rate
        return False

    def _timer(self, w: LogicContext) -> bool:
        cpu = w.state.active[w.chance.below(len(w.state.active))]
        w.services.send_ipi(self, cpu, LOCAL_TIMER_VECTOR)
        w.words, w.effect = ("timer", "ends a time slice"), (CPU, cpu, "timer interrupt", 0, 1)
        return True

    def _event(self, w: LogicContext) -> bool:
        v = w.guests.any_vcpu()
        if not v or v in w.state.events:
            return False
        self.call(mark_events_pending, v)
        return self.begin(w)

    def _emulated(self, w: LogicContext) -> bool:
        v = w.guests.any_vcpu()
        if not v:
            return False
        self.call(vmx_deliver_posted_intr, v, FIRST_GUEST_VECTOR + w.chance.below(GUEST_VECTORS))
        return self.begin(w)

    def _tasklet(self, w: LogicContext) -> bool:
        cpu = w.state.active[w.chance.below(len(w.state.active))]
        w.state.tasklets[cpu] += 1
        w.services.cpu_raise_softirq(self, cpu, SCHEDULE_SOFTIRQ)
        w.words, w.effect = ("tasklet_schedule", "has a CPU run a tasklet"), (CPU, cpu, "tasklets", 0, 1)
        return True

    def _migrate(self, w: LogicContext) -> bool:
        v = w.guests.any_vcpu()
        if not v or v in w.state.migrating or self.environment.toolstack_busy():
            return False
        self.environment.migrate(v, w.state.active[w.chance.below(len(w.state.active))])
        w.words = ("operator", "asks for a migration")
        return True

    def _pause(self, w: LogicContext) -> bool:
        v = w.guests.any_vcpu()
        if not v or self.environment.toolstack_busy():
            return False
        paused = w.memory.u32(v + w.o.pause_count)
        self.environment.order(vcpu_unpause if paused else vcpu_pause, v)
        w.words = ("operator", "unpauses a vCPU" if paused else "pauses a vCPU")
        return True

    def _hotplug(self, w: LogicContext) -> bool:
        devices = list(w.devices)
        if not devices or self.environment.toolstack_busy():
            return False
        sid = devices[w.chance.below(len(devices))]
        domains = w.guests.domain_numbers()
        if w.passthrough.owner(sid) is not None:
            self.environment.deassign(sid)
            w.words = ("operator", "asks for a device back")
        else:
            self.environment.assign(sid, domains[w.chance.below(len(domains))])
            w.words = ("operator", "assigns a device")
        return True

    def _offline(self, w: LogicContext) -> bool:
        cpu = w.chance.below(w.layout.config.cpus)
        if not cpu or self.environment.toolstack_busy():
            return False
        if cpu not in w.state.online:
            self.environment.bring_online(cpu)
            w.words = ("operator", "asks for a CPU")
        elif len(w.state.active) > 1:
            self.environment.offline(cpu)
            w.words = ("operator", "takes a CPU offline")
        return True


_HAPPENINGS: Mapping[str, Callable[[Outside, LogicContext], bool]] = {
    "timer": Outside._timer,
    "event": Outside._event,
    "emulated": Outside._emulated,
    "tasklet": Outside._tasklet,
    "migrate": Outside._migrate,
    "pause": Outside._pause,
    "hotplug": Outside._hotplug,
    "offline": Outside._offline,
}
"""By rate of a workload, what happens so often."""
