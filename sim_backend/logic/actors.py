"""Who acts beside the CPUs: devices, VT-d units, the toolstack, and the outside world that keeps a machine busy."""

from __future__ import annotations

from typing import Any

from sim_backend.logic.context import CPU, INCREMENT, MULTIPLIER, U64, VCPU
from sim_backend.logic.pi import VPF_BLOCKED, vcpu_kick, vmx_deliver_posted_intr
from sim_backend.logic.program import BY_NUMBER, FIRST, Actor, Frame, Procedure
from sim_backend.logic.scheduler import LOCAL_TIMER_VECTOR, SCHEDULE_SOFTIRQ, vcpu_pause, vcpu_unpause
from sim_backend.logic.vtd_engine import interrupt_request, invalidate_next
from sim_backend.scenario.scenario import OUT_OF

FIRST_GUEST_VECTOR, GUEST_VECTORS = 0x30, 192


class Beside(Actor):
    """An actor that is no CPU: it begins something when it has nothing to go on with."""

    __slots__ = ()

    def turn(self, w: Any) -> bool:
        """Do one step; False if there is none to do now."""
        if not self.stack:
            if not self.begin(w):
                return False
            if not self.stack:
                return True
            if w.words is None:
                procedure = BY_NUMBER[self.stack[-1][0]]
                w.begun = (procedure.name, procedure.steps[self.stack[-1][1]].action)
        return self.advance(w)

    def begin(self, w: Any) -> bool:
        """Find something to do: put a frame on the stack, or do it at once. False if there is nothing."""
        raise NotImplementedError


class Device(Beside):
    """A PCI device. `queue`: which of its messages it is to send, in order."""

    __slots__ = ("queue", "sid")

    def __init__(self, sid: int, name: str) -> None:
        super().__init__(f"device {name}")
        self.sid = sid
        self.queue: list[int] = []

    def begin(self, w: Any) -> bool:
        """Send a message."""
        msis = w.layout.device(self.sid).msis
        if self.queue:
            msi = msis[self.queue.pop(0)]
        elif w.owner(self.sid) is not None and w.chance(w.workload.post):
            msi = msis[w.below(len(msis))]
        else:
            return False
        self.call(interrupt_request, msi.sid, msi.address, msi.data, msi.unit)
        return True


class Unit(Beside):
    """A VT-d unit, as far as it acts on its own: it works off its invalidation queue."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__(f"VT-d unit {number}")
        self.number = number

    def begin(self, w: Any) -> bool:
        """Do the next descriptor of the queue."""
        if not invalidate_next(w, w.remapping[self.number]):
            return False
        w.words = ("invalidation queue", "does the next descriptor")
        return True


class Toolstack(Beside):
    """The control domain's hypercalls, one after the other. `queue`: frames of those to come."""

    __slots__ = ("queue",)

    def __init__(self) -> None:
        super().__init__("toolstack")
        self.queue: list[Frame] = []

    def begin(self, w: Any) -> bool:
        """Start the next one."""
        if not self.queue:
            w.background = False
            return False
        self.stack.append(self.queue.pop(0))
        return True


class Outside(Beside):
    """Timers, event channels and emulated devices, and an operator who moves things about, as the workload has it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("outside")

    def begin(self, w: Any) -> bool:
        """Do what chance has it do; most often nothing."""
        load = w.workload
        if not load.outside_total:
            return False
        # `below`, without the calls: this is drawn at every other step.
        w.random = (w.random * MULTIPLIER + INCREMENT) & U64
        draw = (w.random >> 40) % OUT_OF
        if draw >= load.outside_total:
            return False
        for name, rate in load.outside:
            if draw < rate:
                done: bool = getattr(self, f"_{name}")(w)
                return done
            draw -= rate
        return False

    def _timer(self, w: Any) -> bool:
        cpu = w.active[w.below(len(w.active))]
        w.send_ipi(self, cpu, LOCAL_TIMER_VECTOR)
        w.words, w.effect = ("timer", "ends a time slice"), (CPU, cpu, "timer interrupt", 0, 1)
        return True

    def _event(self, w: Any) -> bool:
        v = w.random_vcpu()
        if not v or v in w.events:
            return False
        self.call(mark_events_pending, v)
        return True

    def _emulated(self, w: Any) -> bool:
        v = w.random_vcpu()
        if not v:
            return False
        self.call(vmx_deliver_posted_intr, v, FIRST_GUEST_VECTOR + w.below(GUEST_VECTORS))
        return True

    def _tasklet(self, w: Any) -> bool:
        cpu = w.active[w.below(len(w.active))]
        w.tasklets[cpu] += 1
        w.cpu_raise_softirq(self, cpu, SCHEDULE_SOFTIRQ)
        w.words, w.effect = ("tasklet_schedule", "has a CPU run a tasklet"), (CPU, cpu, "tasklets", 0, 1)
        return True

    def _migrate(self, w: Any) -> bool:
        v = w.random_vcpu()
        if not v or v in w.migrating or w.toolstack_busy():
            return False
        w.migrate(v, w.active[w.below(len(w.active))])
        w.words = ("operator", "asks for a migration")
        return True

    def _pause(self, w: Any) -> bool:
        v = w.random_vcpu()
        if not v or w.toolstack_busy():
            return False
        paused = w.memory.u32(v + w.o.pause_count)
        w.order(vcpu_unpause if paused else vcpu_pause, v)
        w.words = ("operator", "unpauses a vCPU" if paused else "pauses a vCPU")
        return True

    def _hotplug(self, w: Any) -> bool:
        devices = list(w.devices)
        if not devices or w.toolstack_busy():
            return False
        sid = devices[w.below(len(devices))]
        domains = sorted({d for d, _ in w.names.values()})
        if w.owner(sid) is not None:
            w.deassign(sid)
            w.words = ("operator", "asks for a device back")
        else:
            w.assign(sid, domains[w.below(len(domains))])
            w.words = ("operator", "assigns a device")
        return True

    def _offline(self, w: Any) -> bool:
        cpu = w.below(w.layout.config.cpus)
        if not cpu or w.toolstack_busy():
            return False
        if cpu not in w.online:
            w.bring_online(cpu)
            w.words = ("operator", "asks for a CPU")
        elif len(w.active) > 1:
            w.offline(cpu)
            w.words = ("operator", "takes a CPU offline")
        return True


mark_events_pending = Procedure("vcpu_mark_events_pending", "v")


@mark_events_pending.step("makes the upcall pending; it was: nothing to do")
def _(w: Any, a: Actor, f: Frame) -> Any:
    was = f[FIRST] in w.events
    w.events[f[FIRST]] = 1
    w.effect = (VCPU, f[FIRST], "upcall pending", int(was), 1)
    if not was:
        a.call(vcpu_kick, f[FIRST])


def is_blocked(w: Any, v: int) -> bool:
    """Whether VPF_blocked is set."""
    return bool(w.memory.u32(v + w.o.pause_flags) & 1 << VPF_BLOCKED)
