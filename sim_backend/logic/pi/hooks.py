"""A domain's first device comes, its last one leaves: `vmx_pi_hooks_assign`, `vmx_pi_hooks_deassign`."""

from __future__ import annotations

from sim_backend.logic.context import DOMAIN, VCPU, LogicContext
from sim_backend.logic.kinds import NUMBER, PLACE
from sim_backend.logic.pi.resume import vmx_pi_unblock_vcpu
from sim_backend.logic.program import DONE, FIRST, Actor, Frame, Outcome, Procedure

PI_CSW_FROM, PI_CSW_TO = 1, 2
"""`pi_ops.flags`: the switch hooks are installed."""
NDST_MARKER = (1 << 32) - 1
"""APIC_INVALID_DEST: the hooks never saw this descriptor."""


vmx_pi_hooks_assign = Procedure("vmx_pi_hooks_assign", d=NUMBER, v=PLACE)
D, V = FIRST, FIRST + 1


def set_hooks(w: LogicContext, d: int, flags: int) -> None:
    """Store `pi_ops.flags`."""
    w.effect = (DOMAIN, d, "pi_ops.flags", w.memory.u32(d + w.o.pi_flags), flags)
    w.memory.set_u32(d + w.o.pi_flags, flags)


def set_block_hook(w: LogicContext, d: int, function: int) -> None:
    """Store `pi_ops.vcpu_block`, which is also the resume hook's condition."""
    w.effect = (DOMAIN, d, "pi_ops.vcpu_block", w.memory.u64(d + w.o.block_hook), function)
    w.memory.set_u64(d + w.o.block_hook, function)


@vmx_pi_hooks_assign.step("does nothing unless posting is on and the domain is an HVM one")
def check_assign_applies(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not w.memory.u8(w.iommu_intpost) or not w.is_hvm(f[D]):
        return DONE
    return None if w.version.assign_in_order else all_block


@vmx_pi_hooks_assign.step("installs the switch hooks")
def install_switch_hooks(w: LogicContext, a: Actor, f: Frame) -> None:
    set_hooks(w, f[D], PI_CSW_FROM | PI_CSW_TO)
    f[V] = w.first_vcpu(f[D])


@vmx_pi_hooks_assign.step("gives a descriptor that the hooks never saw its NDST")
def repair_ndst(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    memory, o, v = w.memory, w.o, f[V]
    if not v:
        return None
    new = w.destination(memory.u32(v + o.processor))
    old = memory.u32(v + o.ndst)
    if old == NDST_MARKER:
        memory.set_u32(v + o.ndst, new)
    w.effect = (VCPU, v, "ndst", old, new if old == NDST_MARKER else old)
    f[V] = w.next_vcpu(v)
    return repair_ndst


@vmx_pi_hooks_assign.step("installs the block and resume hooks")
def install_block_hook(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_block_hook(w, f[D], w.block_function)
    return DONE


@vmx_pi_hooks_assign.step("installs the block and resume hooks, first of all")
def all_block(w: LogicContext, a: Actor, f: Frame) -> None:
    set_block_hook(w, f[D], w.block_function)


@vmx_pi_hooks_assign.step("installs the switch-out hook")
def install_switch_out(w: LogicContext, a: Actor, f: Frame) -> None:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) | PI_CSW_FROM)


@vmx_pi_hooks_assign.step("installs the switch-in hook")
def install_switch_in(w: LogicContext, a: Actor, f: Frame) -> None:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) | PI_CSW_TO)


vmx_pi_hooks_deassign = Procedure("vmx_pi_hooks_deassign", d=NUMBER, v=PLACE)


@vmx_pi_hooks_deassign.step("does nothing unless posting is on and the domain is an HVM one")
def check_deassign_applies(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    return None if w.memory.u8(w.iommu_intpost) and w.is_hvm(f[D]) else DONE


@vmx_pi_hooks_deassign.step("pauses the domain")
def pause_for_deassign(w: LogicContext, a: Actor, f: Frame) -> None:
    if w.version.deassign_cleans_up:
        w.calls.domain_pause(a, f[D])


@vmx_pi_hooks_deassign.step("removes the block and resume hooks")
def remove_block_hook(w: LogicContext, a: Actor, f: Frame) -> None:
    set_block_hook(w, f[D], 0)


@vmx_pi_hooks_deassign.step("removes the switch-out hook; the switch-in hook stays, to clear SN")
def keep_switch_in_only(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    if not w.version.keeps_switch_in:
        return drop_from
    set_hooks(w, f[D], PI_CSW_TO)
    f[V] = w.first_vcpu(f[D])
    return None if w.version.deassign_cleans_up else DONE


@vmx_pi_hooks_deassign.step("restores a descriptor and takes its vCPU off its list")
def clean_up(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    v = f[V]
    if not v:
        return None
    a.call(vmx_pi_unblock_vcpu, v)
    f[V] = w.next_vcpu(v)
    return clean_up


@vmx_pi_hooks_deassign.step("unpauses the domain")
def unpause_after_deassign(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    w.calls.domain_unpause(a, f[D])
    return DONE


@vmx_pi_hooks_deassign.step("removes the switch-out hook")
def drop_from(w: LogicContext, a: Actor, f: Frame) -> None:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) & ~PI_CSW_FROM)


@vmx_pi_hooks_deassign.step("removes the switch-in hook")
def remove_switch_in(w: LogicContext, a: Actor, f: Frame) -> Outcome:
    set_hooks(w, f[D], w.memory.u32(f[D] + w.o.pi_flags) & ~PI_CSW_TO)
    f[V] = w.first_vcpu(f[D])
    return clean_up if w.version.deassign_cleans_up else DONE
