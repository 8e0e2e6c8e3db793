"""A vCPU is switched out or in: `vmx_pi_switch_from`, `vmx_pi_switch_to`, and who calls them."""

from __future__ import annotations

from typing import Any

from sim_backend.pi_logic.hooks import PI_CSW_FROM, PI_CSW_TO
from sim_backend.pi_logic.stores import clear_bit, set_bit, set_ndst
from sim_backend.pi_logic.unblock import VPF_BLOCKED
from sim_backend.program import DONE, FIRST, Actor, Frame, Procedure
from sim_backend.world import SN, World

V = FIRST


vmx_pi_switch_from = Procedure("vmx_pi_switch_from", "v")


@vmx_pi_switch_from.step("looks whether it is blocked; if so, posts must go on notifying")
def _(w: World, a: Actor, f: Frame) -> Any:
    return DONE if w.memory.u32(f[V] + w.o.pause_flags) & 1 << VPF_BLOCKED else None


@vmx_pi_switch_from.step("suppresses notifications")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_bit(w, f[V], "sn", SN)


vmx_pi_switch_to = Procedure("vmx_pi_switch_to", "v")


@vmx_pi_switch_to.step("directs notifications to its CPU")
def _(w: World, a: Actor, f: Frame) -> Any:
    set_ndst(w, f[V], w.memory.u32(f[V] + w.o.processor))


@vmx_pi_switch_to.step("lets posts notify again")
def _(w: World, a: Actor, f: Frame) -> Any:
    clear_bit(w, f[V], "sn", SN)


vmx_ctxt_switch_from = Procedure("vmx_ctxt_switch_from", "v")


@vmx_ctxt_switch_from.step("saves it; calls the switch-out hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    if w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_FROM:
        a.call(vmx_pi_switch_from, f[V])


vmx_ctxt_switch_to = Procedure("vmx_ctxt_switch_to", "v")


@vmx_ctxt_switch_to.step("loads it; calls the switch-in hook, if there is one")
def _(w: World, a: Actor, f: Frame) -> Any:
    if w.memory.u32(w.domain_of(f[V]) + w.o.pi_flags) & PI_CSW_TO:
        a.call(vmx_pi_switch_to, f[V])
