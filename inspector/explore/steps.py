"""A history as plain data: each step, what it changed in each vCPU, where that then stands, and the audit's verdict.

All of it is read from the simulated machine's memory before and after each step, as commands read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from inspector.analysis.situation import situation
from inspector.audit import Finding, audit, confirm
from inspector.capture.capture import take_vcpus
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import IDLE, Snapshot, Vcpu
from inspector.targets.sim.simulation import Simulation
from structs.frozen import frozen

if TYPE_CHECKING:
    from sim_backend.machine.boot import AnyMachine
    from sim_backend.machine.event import Event
    from sim_backend.machine.history import History

Value = int | str | tuple[int, ...] | None
State = Mapping[str, Value]
"""A vCPU's fields:

    pir             the vectors in PIR
    on, sn, nv      of the descriptor, as the VT-d specification calls them
    ndst            of the descriptor, as it stands
    list            the CPU on whose list of blocked vCPUs it is, or None
    lock            the CPU whose list's lock `pi_blocking.lock` points to, or None
    blocked         VPF_blocked
    pauses          how often it and its domain are paused
    runstate        running, runnable, blocked or offline
    running         is_running
    cpu             its CPU (`processor`)
    guest           whether it is in the guest
    irr             the vectors in its virtual local APIC's IRR
"""
Change = tuple[Value, Value]
QUIET = frozenset(("lock", "running"))
"""Fields that change together with others, which tell more."""


@frozen
class Step:
    """One step.

    Attributes:
        number: from 1.
        actor: who: a CPU, a device, a VT-d unit, the toolstack, or the environment, which gives an order.
        function: Xen's, or the order.
        action: what it does there, in words; an order's arguments.
        effect: what it changed elsewhere, in words; None if nothing.
        changes: by vCPU and field, the value before and after.
        situations: by vCPU, its new situation (`S4`), where that changed; None for one that is not known.
        cpu, of_cpu: the CPU that did it; that, or the CPU whose store buffer did.
        ordered: whether it is an order of the environment.
        telling: whether what it changed elsewhere is worth a row: an interrupt is sent or taken; a store is delayed, or
            no longer; the machine cannot go on.
    """

    number: int
    actor: str
    function: str
    action: str
    effect: str | None
    changes: Mapping[str, Mapping[str, Change]]
    situations: Mapping[str, str | None]
    cpu: int | None = None
    of_cpu: int | None = None
    ordered: bool = False
    telling: bool = False

    @property
    def visible(self) -> bool:
        """Whether there is more to see than that it happened."""
        shown = any(field not in QUIET for changes in self.changes.values() for field in changes)
        return shown or self.telling or bool(self.situations) or self.ordered


@frozen
class Reading:
    """A history, read.

    Attributes:
        title, version: the scenario's name and title, and the logic's version.
        property, why: which property it breaks or shows, and how.
        start, situations: each vCPU's state and situation before the first step.
        steps: all of them.
        before, after: everything at the start (CPUs and vCPUs only) and at the end.
        findings: the audit's, at the end.
        later: how many steps later the machine comes to rest if nothing else happens; None if it does not.
        lasting: the audit's findings then; what it also found at the end is confirmed.
        fired: with each step audited, the step at which each rule first found something of a subject; else None.
        crashed: why the machine cannot go on, if so.
    """

    title: str
    version: str
    property: str | None
    why: str | None
    start: Mapping[str, State]
    situations: Mapping[str, str | None]
    steps: tuple[Step, ...]
    before: Snapshot
    after: Snapshot
    findings: tuple[Finding, ...]
    later: int | None
    lasting: tuple[Finding, ...]
    fired: tuple[tuple[int, Finding], ...] | None
    crashed: str | None


VCPU_POINTERS = frozenset(("current", "curr_vcpu"))
AT_MOST = 10_000
"""Steps in which a machine of a few vCPUs comes to rest, if it does."""


def read(history: History, audit_steps: bool = False) -> Reading:
    """Do a history again and note everything.

    Args:
        history: what to do.
        audit_steps: audit the machine after every step, not only at the end.

    Raises:
        sim_backend.memory.errors.SimError: a move cannot be done.
    """
    inspection = _inspection(history.machine())
    before = take_vcpus(inspection)
    start = known = _states(before)
    stood = first = _situations(before)
    steps: list[Step] = []
    fired: dict[tuple[str, str], tuple[int, Finding]] = {}
    machine: AnyMachine | None = None
    buffered = 0
    for machine, event in history.replay():
        inspection = _inspection(machine, inspection)
        snapshot = take_vcpus(inspection)
        states, stands = _states(snapshot), _situations(snapshot)
        kept = sum(map(len, machine.state.buffers))
        effect = _effect(event, snapshot) if event.subject not in (changes := _changes(known, states)) else None
        delayed = bool(effect) and kept > buffered
        buffered = kept
        where = _generation(stood, stands)
        steps.append(_step(len(steps) + 1, event, effect, changes, where, delayed))
        known, stood = states, stands
        for finding in audit(snapshot) if audit_steps else ():
            fired.setdefault((finding.rule, finding.subject), (len(steps), finding))
    after = inspection.snapshot
    later, rest = _rest(machine or history.machine(), inspection)
    return Reading(
        title=": ".join(filter(None, (history.scenario.name, history.scenario.title))),
        version=history.version.name,
        property=history.property,
        why=history.why,
        start=start,
        situations=first,
        steps=tuple(steps),
        before=before,
        after=after,
        findings=tuple(audit(after)),
        later=later,
        lasting=tuple(confirm([after, rest])) if rest else (),
        fired=tuple(fired.values()) if audit_steps else None,
        crashed=machine.crashed if machine else None,
    )


def actors(reading: Reading) -> tuple[str, ...]:
    """Those who act: CPUs, their store buffers beside them, devices and others, the environment last."""
    return tuple(dict.fromkeys(step.actor for step in sorted(reading.steps, key=_rank)))


def _rank(step: Step) -> tuple[bool, bool, int, str]:
    return step.ordered, step.of_cpu is None, step.of_cpu or 0, step.actor


def _step(
    number: int,
    event: Event,
    effect: str | None,
    changes: Mapping[str, Mapping[str, Change]],
    situations: Mapping[str, str | None],
    delayed: bool,
) -> Step:
    return Step(
        number,
        event.actor,
        event.function,
        event.action,
        f"{effect}, in its store buffer" if delayed else effect,
        changes,
        situations,
        cpu=event.cpu,
        of_cpu=event.of_cpu,
        ordered=event.ordered,
        telling=event.stuck or (effect is not None and (event.sends or delayed)),
    )


def _inspection(machine: AnyMachine, before: Inspection | None = None) -> Inspection:
    return Inspection(Simulation(machine), before=before)


def _rest(machine: AnyMachine, inspection: Inspection) -> tuple[int | None, Snapshot | None]:
    """How many steps later the machine is at rest, and what it then is like; None if it never is."""
    other = machine.copy()
    steps = other.settle(AT_MOST)
    if steps == AT_MOST or other.crashed:
        return None, None
    return steps, _inspection(other, inspection).snapshot


def _states(snapshot: Snapshot) -> dict[str, State]:
    locks = {blocked.lock: blocked.cpu for blocked in snapshot.lists}
    return {vcpu.name: _state(vcpu, locks) for vcpu in snapshot.vcpus if vcpu.pi}


def _state(vcpu: Vcpu, locks: Mapping[int, int]) -> State:
    assert vcpu.pi
    return {
        "pir": vcpu.pi.pir,
        "on": vcpu.pi.on,
        "sn": vcpu.pi.sn,
        "nv": vcpu.pi.nv,
        "ndst": vcpu.pi.ndst,
        "list": vcpu.blocking_list,
        "lock": locks.get(vcpu.lock),
        "blocked": int(vcpu.blocked),
        "pauses": vcpu.pause_count,
        "runstate": vcpu.runstate,
        "running": int(bool(vcpu.is_running)),
        "cpu": vcpu.cpu,
        "guest": int(bool(vcpu.in_guest)),
        "irr": vcpu.irr,
    }


def _situations(snapshot: Snapshot) -> dict[str, str | None]:
    found = ((vcpu.name, situation(snapshot, vcpu)) for vcpu in snapshot.vcpus if vcpu.pi)
    return {name: where.id if where else None for name, where in found}


def _changes(before: Mapping[str, State], after: Mapping[str, State]) -> dict[str, dict[str, Change]]:
    """What changed, by vCPU; of one that came or went, that it did, as the field `there`."""
    found: dict[str, dict[str, Change]] = {}
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            found[name] = {"there": (int(name in before), int(name in after))}
        elif before[name] != after[name]:
            pairs = ((field, (value, after[name][field])) for field, value in before[name].items())
            found[name] = {field: (old, new) for field, (old, new) in pairs if old != new}
    return found


def _generation(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: where for name, where in after.items() if name not in before or before[name] != where}


def _effect(event: Event, snapshot: Snapshot) -> str | None:
    """What a step changed, in words; None if nothing."""
    if event.field is None or event.before is None or event.after is None or event.before == event.after:
        return None
    if event.field in VCPU_POINTERS:
        names = {vcpu.address: vcpu.name for vcpu in snapshot.vcpus}
        before, after = (names.get(pointer, IDLE) for pointer in (event.before, event.after))
        return f"{event.subject} {event.field} {before} -> {after}"
    return str(event).rpartition(" | ")[2]
