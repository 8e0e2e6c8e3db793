"""Who acts beside the CPUs: devices, VT-d units, and the toolstack."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.logic.context import VCPU, Context, LogicContext
from sim_backend.logic.kinds import NUMBER, PLACE, ListOf, held
from sim_backend.logic.pi import VPF_BLOCKED, vcpu_kick
from sim_backend.logic.program import FIRST, FRAME, PC, PROCEDURE, Actor, ActorId, ActorKind, Frame, Procedure
from sim_backend.logic.vtd_engine import interrupt_request, invalidate_next
from sim_backend.memory.naming import device_name


class Beside(Actor):
    """An actor that is no CPU: it begins something when it has nothing to go on with."""

    __slots__ = ()

    def begin(self, w: Context) -> bool:
        """Do the first step of the frame that was put on the empty stack; False if it has to wait."""
        frame = self.stack[-1]
        w.begun = (frame[PROCEDURE], frame[PC])
        return self.advance(w)


@dataclass(slots=True, eq=False)
class Device(Beside):
    """A PCI device. `queue`: which of its messages it is to send, in order."""

    queue: list[int] = held(ListOf(NUMBER), part="doing")

    @classmethod
    def of(cls, sid: int) -> Device:
        """The device of that source-id."""
        who = ActorId(ActorKind.DEVICE, sid)
        return cls(who, f"{who.kind} {device_name(sid)}")

    def turn(self, w: Context) -> bool:
        """Send a message, or go on with one."""
        if self.stack:
            return self.advance(w)
        sid = self.id.number
        if self.queue:
            msi = w.layout.device(sid).msis[self.queue.pop(0)]
        elif sid in w.state.owners and w.chance.happens(w.workload.post):
            msis = w.layout.device(sid).msis
            msi = msis[w.chance.below(len(msis))]
        else:
            return False
        self.call(interrupt_request, msi.sid, msi.address, msi.data, msi.unit)
        return self.begin(w)


@dataclass(slots=True, eq=False)
class Unit(Beside):
    """A VT-d unit, as far as it acts on its own: it works off its invalidation queue."""

    @classmethod
    def of(cls, number: int) -> Unit:
        """The unit of that number."""
        who = ActorId(ActorKind.UNIT, number)
        return cls(who, f"{who.kind} {number}")

    def turn(self, w: Context) -> bool:
        """Do the next descriptor of the queue."""
        if not invalidate_next(w, w.remapping[self.id.number]):
            return False
        w.words = ("invalidation queue", "does the next descriptor")
        return True


@dataclass(slots=True, eq=False)
class Toolstack(Beside):
    """The control domain's hypercalls, one after the other. `queue`: frames of those to come."""

    queue: list[Frame] = held(ListOf(FRAME), part="doing")

    @classmethod
    def idle(cls) -> Toolstack:
        """One with nothing to do."""
        return cls(ActorId(ActorKind.TOOLSTACK), ActorKind.TOOLSTACK.value)

    def turn(self, w: Context) -> bool:
        """Start the next one, or go on with one."""
        if self.stack:
            return self.advance(w)
        if not self.queue:
            w.state.background = False
            return False
        self.stack.append(self.queue.pop(0))
        return self.begin(w)


mark_events_pending = Procedure("vcpu_mark_events_pending", v=PLACE)


@mark_events_pending.step("makes the upcall pending; if it was, there is nothing to do")
def mark_pending(w: LogicContext, a: Actor, f: Frame) -> None:
    was = f[FIRST] in w.state.events
    w.state.events[f[FIRST]] = 1
    w.effect = (VCPU, f[FIRST], "upcall pending", int(was), 1)
    if not was:
        a.call(vcpu_kick, f[FIRST])


def is_blocked(w: LogicContext, v: int) -> bool:
    """Whether VPF_blocked is set."""
    return bool(w.memory.u32(v + w.o.pause_flags) & 1 << VPF_BLOCKED)
