"""A vCPU is switched out or in: `vmx_pi_switch_from`, `vmx_pi_switch_to`, and who calls them."""

from __future__ import annotations

from sim_backend.logic.context import ON, PIR_WORDS, SN, LogicContext
from sim_backend.logic.kinds import PLACE
from sim_backend.logic.pi.hooks import PI_CSW_FROM, PI_CSW_TO
from sim_backend.logic.pi.stores import clear_bit, set_bit, set_ndst
from sim_backend.logic.pi.unblock import VPF_BLOCKED
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

V = FIRST
PIR_BYTES = 8 * PIR_WORDS


vmx_pi_switch_from = Procedure("vmx_pi_switch_from", v=PLACE)


@vmx_pi_switch_from.step("looks whether it is blocked; if so, posts must go on notifying")
def check_blocked(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    blocked = w.memory.u32(f[V] + w.o.pause_flags) & 1 << VPF_BLOCKED
    return DONE if blocked and w.version.blocked_notify else None


@vmx_pi_switch_from.step("suppresses notifications")
def suppress(w: LogicContext, a: Actor, f: Frame) -> None:
    set_bit(w, f[V], "sn", SN)


vmx_pi_switch_to = Procedure("vmx_pi_switch_to", v=PLACE)


@vmx_pi_switch_to.step("directs notifications to its CPU")
def direct(w: LogicContext, a: Actor, f: Frame) -> None:
    set_ndst(w, f[V], w.memory.u32(f[V] + w.o.processor))


@vmx_pi_switch_to.step("lets posts notify again")
def lift(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    clear_bit(w, f[V], "sn", SN)
    return None if w.version.switch_in_looks_at_pir else DONE


@vmx_pi_switch_to.step("looks whether anything was posted meanwhile")
def look_at_pir(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if any(w.memory.read(f[V] + w.o.pir, PIR_BYTES)) else DONE


@vmx_pi_switch_to.step("sets ON, for what was posted")
def set_on_for_pir(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_bit(w, f[V], "on", ON)
    return DONE


@vmx_pi_switch_to.step("lets posts notify again, first of all")
def lift_first(w: LogicContext, a: Actor, f: Frame) -> None:
    clear_bit(w, f[V], "sn", SN)


@vmx_pi_switch_to.step("directs notifications to its CPU, last of all")
def direct_last(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_ndst(w, f[V], w.memory.u32(f[V] + w.o.processor))
    return look_at_pir if w.version.switch_in_looks_at_pir else DONE


vmx_ctxt_switch_from = Procedure("vmx_ctxt_switch_from", v=PLACE)


@vmx_ctxt_switch_from.step("saves it; calls the switch-out hook, if there is one")
def save_context(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.version.suppresses and w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_FROM:
        a.call(vmx_pi_switch_from, f[V])


vmx_ctxt_switch_to = Procedure("vmx_ctxt_switch_to", v=PLACE)


@vmx_ctxt_switch_to.step("loads it; calls the switch-in hook, if there is one")
def load_context(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_TO:
        early = direct if w.version.directs_before_lifting else lift_first
        a.call_at(early if w.version.directs else lift, vmx_pi_switch_to, f[V])
