"""What is asked of KVM's posted-interrupt logic; see `sim_backend.explore.properties`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sim_backend.explore.model import ALWAYS, EVENTUALLY
from sim_backend.explore.properties import PROPERTIES, Asked, Test, in_guest_mode, pending
from sim_backend.logic.context import msi_key
from sim_backend.logic.kvm.context import IN_GUEST_MODE, POSTED_INTR_VECTOR
from sim_backend.logic.kvm.cpu import do_idle
from sim_backend.logic.kvm.irqfd import HIGHEST_VECTOR, kvm_set_irq_routing
from sim_backend.logic.kvm.sync import TAKEN, vmx_sync_pir_to_irr
from sim_backend.logic.kvm.vcpu import in_guest, vcpu_enter_guest
from sim_backend.logic.program import PC, PROCEDURE
from sim_backend.logic.vtd_engine import ADDRESS, DATA, ENTRY, IM, interrupt_request, posted_pda, posted_vector
from sim_backend.machine.kvm_invariants import SN_MASK, lists_problems, sleeps
from sim_backend.memory.errors import SimError


def _of_each_vcpu(test: Callable[..., bool]) -> Callable[[Any], list[Test]]:
    return lambda m: [partial(test, v=v) for v in m.names]


def _is_woken(m: Any, v: int) -> bool:
    return not sleeps(m, v) or v in m.state.masked or not pending(m, v)


def _takes_all(m: Any, v: int) -> bool:
    return not in_guest_mode(m, v) or not pending(m, v)


def _is_restored(m: Any, v: int) -> bool:
    if not in_guest_mode(m, v):
        return True
    here = m.context.services.runs_here(m.cpus[m.cpu_of(v)], v)
    return bool(here) and m.memory.u8(v + m.o.nv) == POSTED_INTR_VECTOR


def _is_notified(m: Any, v: int) -> bool:
    return not in_guest_mode(m, v) or not m.memory.u8(v + m.o.control) & SN_MASK


def _is_directed(m: Any, v: int) -> bool:
    cpu = next((cpu.cpu for cpu in m.cpus if cpu.current == v and cpu.guest), None)
    return cpu is None or m.memory.u32(v + m.o.ndst) == m.context.addresses.destinations[cpu]


def _says_so(m: Any, v: int) -> bool:
    return not in_guest_mode(m, v) or m.memory.u32(v + m.o.mode) >= IN_GUEST_MODE


def _listed_once(m: Any) -> list[Test]:
    def sound(m: Any) -> bool:
        try:
            return not any(lists_problems(m))
        except SimError:
            return False

    return [sound]


def _posts_where_the_guest_says(m: Any) -> list[Test]:
    return [partial(_goes_where_the_guest_says, device=device) for device in m.context.devices.values()]


def _goes_where_the_guest_says(m: Any, device: Any) -> bool:
    posted = [frame for frame in device.stack if frame[PROCEDURE] == interrupt_request.number and frame[ENTRY] & IM]
    return not posted or _is_changing(m) or all(_is_routed(m, device, frame) for frame in posted)


def _is_changing(m: Any) -> bool:
    return bool(m.context.toolstack.stack) or any(_routes(cpu) for cpu in m.cpus)


def _routes(cpu: Any) -> bool:
    return any(frame[PROCEDURE] == kvm_set_irq_routing.number for frame in cpu.stack)


def _is_routed(m: Any, device: Any, frame: Any) -> bool:
    posted = posted_pda(frame[ENTRY]) - m.o.pi_desc, posted_vector(frame[ENTRY])
    for msi in m.layout.device(device.id.number).msis:
        if (msi.address, msi.data) == (frame[ADDRESS], frame[DATA]):
            return list(m.state.bindings.get(msi_key(msi), ())) == [posted]
    return False


def _as_routed(m: Any) -> list[Test]:
    return [partial(_is_as_routed, msi=msi) for sid in m.context.devices for msi in m.layout.device(sid).msis]


def _is_as_routed(m: Any, msi: Any) -> bool:
    entry = int.from_bytes(m.memory.read(m.layout.irte(msi.unit, msi.index), 16), "little")
    route = m.state.bindings.get(msi_key(msi), ())
    produced = msi.pirq and m.memory.u64(msi.pirq + m.o.producer) and m.layout.config.intpost
    wanted = route if produced and len(route) == 1 and route[0][1] <= HIGHEST_VECTOR else ()
    found = ((posted_pda(entry) - m.o.pi_desc, posted_vector(entry)),) if entry & IM else ()
    if tuple(wanted) != found or (not found and entry != recorded(m, msi)):
        return _is_changing(m)
    return True


def recorded(m: Any, msi: Any) -> int:
    """The host's own entry for an MSI."""
    return int.from_bytes(m.memory.read(msi.msi_desc + m.o.irte_entry, 16), "little")


def _nobody_stuck(m: Any) -> list[Test]:
    def free(m: Any) -> bool:
        beside = [*m.context.devices.values(), *m.context.units, m.context.toolstack]
        return all(map(_waits_for_work, m.cpus)) and not any(actor.stack for actor in beside)

    return [free]


def _waits_for_work(cpu: Any) -> bool:
    top = cpu.stack[-1]
    return top[PROCEDURE] == do_idle.number or (top[PROCEDURE], top[PC]) == (vcpu_enter_guest.number, in_guest.pc)


def _at_least_once(m: Any) -> list[Test]:
    return [partial(_delivered_or_there, v=v, vector=vector) for v, vector in m.vectors]


def _delivered_or_there(m: Any, v: int, vector: int) -> bool:
    posted, delivered = m.counts(v, vector)
    return not posted or bool(delivered) or pending(m, v) or _is_moving(m, v)


def _is_moving(m: Any, v: int) -> bool:
    """Whether a vCPU's thread was preempted with something in its hands that it moves from PIR to IRR."""
    stack = m.state.threads.get(v, ())
    return any(frame[PROCEDURE] == vmx_sync_pir_to_irr.number and frame[TAKEN] for frame in stack)


_SHARED = {each.name: each for each in PROPERTIES}


def _shared(*names: str) -> Sequence[Asked]:
    return [_SHARED[name] for name in names]


KVM_PROPERTIES = (
    Asked(
        "no lost wakeup",
        EVENTUALLY,
        _of_each_vcpu(_is_woken),
        "a vCPU whose thread sleeps with a vector pending is woken without the help of a later interrupt",
    ),
    Asked(
        "no stranded interrupt",
        EVENTUALLY,
        _of_each_vcpu(_takes_all),
        "a vector pending while the guest runs is delivered without the help of a later interrupt",
    ),
    Asked(
        "restored before VM entry",
        ALWAYS,
        _of_each_vcpu(_is_restored),
        "in the guest, NV is the notification vector, and the vCPU is the one that runs on its CPU",
    ),
    Asked("not suppressed in the guest", ALWAYS, _of_each_vcpu(_is_notified), "in the guest, SN is clear"),
    Asked(
        "notified where it runs",
        ALWAYS,
        _of_each_vcpu(_is_directed),
        "in the guest, NDST names the vCPU's CPU",
    ),
    Asked("its mode says so", ALWAYS, _of_each_vcpu(_says_so), "in the guest, the vCPU's mode is not outside of it"),
    Asked(
        "on one list, with the wakeup vector",
        ALWAYS,
        _listed_once,
        "lists are circular; a vCPU is on that of its last CPU if NV is the wakeup vector, and else on none",
    ),
    *_shared("no message is lost"),
    Asked(
        "posted to whom the guest says",
        ALWAYS,
        _posts_where_the_guest_says,
        "while nobody changes that, an interrupt is posted only to the one vCPU and vector of its route",
    ),
    Asked(
        "entries are as routed",
        ALWAYS,
        _as_routed,
        "while nobody changes that, an MSI's entry is posted where its route can be, and only then",
    ),
    replace(_SHARED["nobody waits for ever"], tests=_nobody_stuck),
    replace(_SHARED["delivered at least once"], tests=_at_least_once),
    *_shared("not delivered more often than posted"),
    Asked(
        "KVM does not crash",
        ALWAYS,
        _SHARED["Xen does not crash"].tests,
        "no wild pointer is followed",
    ),
)
