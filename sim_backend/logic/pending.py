"""Whether there is anything to be injected into a vCPU: `hvm_vcpu_has_pending_irq`."""

from __future__ import annotations

from sim_backend.logic.context import LogicContext
from sim_backend.logic.kinds import PLACE
from sim_backend.logic.pi.sync import sync
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

NOTHING, UPCALL, INTERRUPT, TAKEN = range(4)
"""What is to be injected: `hvm_intsrc_none`, `_vector`, `_lapic`; TAKEN: the guest has taken all there was."""

look_for_interrupts = Procedure("hvm_vcpu_has_pending_irq", v=PLACE)
V = FIRST


@look_for_interrupts.step("moves PIR to IRR, whatever else is pending")
def sync_always(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.version.always_syncs:
        sync(w, a, f[V])


@look_for_interrupts.step("looks for an event-channel upcall")
def look_for_upcall(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.result = UPCALL if f[V] in w.state.events else NOTHING
    return DONE if a.result else None


@look_for_interrupts.step("moves PIR to IRR before it searches IRR")
def sync_before_search(w: LogicContext, a: Actor, f: Frame) -> None:
    sync(w, a, f[V])


@look_for_interrupts.step("searches IRR")
def search_irr(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.result = INTERRUPT if w.guests.highest_virtual(f[V]) >= 0 else NOTHING
    return DONE


@look_for_interrupts.step("looks for an event-channel upcall, and not at PIR")
def look_past_pir(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    a.result = UPCALL if f[V] in w.state.events else NOTHING
    return DONE if a.result else search_irr
