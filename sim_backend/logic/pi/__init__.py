"""Xen's posted-interrupt core logic, one atomic action a step, in the order of the code (xen/arch/x86/hvm/vmx/vmx.c).

Each procedure has the name of Xen's function. What two versions of Xen do differently stands here as a difference: a
step asks `world.version`. A step that only reads and decides is a step of its own where another actor could change what
it read. Debug builds check more (ASSERT); these are release builds, as distributions ship them.

The procedures store what Xen stores: ticket locks (`_spin_lock` adds 1 to the tail, `_spin_unlock` to the head), list
nodes with the poison of `list_del`, NV as one byte, NDST as 4 bytes, ON, SN and PIR by locked bit operations.

`run_procedure` runs one of them alone, from its entry to its end, and tells its stores and what it called.
"""

from __future__ import annotations

from sim_backend.logic.pi.block import vmx_vcpu_block
from sim_backend.logic.pi.deliver import ON_MASK, SN_MASK, vmx_deliver_posted_interrupt, vmx_deliver_posted_intr
from sim_backend.logic.pi.hooks import NDST_MARKER, PI_CSW_FROM, PI_CSW_TO, vmx_pi_hooks_assign, vmx_pi_hooks_deassign
from sim_backend.logic.pi.irte import msi_msg_write_remap_rte, vmx_pi_update_irte
from sim_backend.logic.pi.percpu import vmx_pi_desc_fixup, vmx_pi_per_cpu_init
from sim_backend.logic.pi.resume import vmx_pi_do_resume, vmx_pi_unblock_vcpu, vmx_vmenter_helper
from sim_backend.logic.pi.run_procedure import IN_MWAIT, LOCAL_IRQ_COUNT, Call, Outcome, Store, run_procedure
from sim_backend.logic.pi.stores import LIST_POISON1, LIST_POISON2
from sim_backend.logic.pi.switch import vmx_ctxt_switch_from, vmx_ctxt_switch_to, vmx_pi_switch_from, vmx_pi_switch_to
from sim_backend.logic.pi.sync import IRR, vmx_sync_pir_to_irr, vmx_test_pir
from sim_backend.logic.pi.unblock import VCPU_KICK_SOFTIRQ, VPF_BLOCKED, vcpu_kick, vcpu_unblock
from sim_backend.logic.pi.wakeup import pi_notification_interrupt, pi_wakeup_interrupt

__all__ = [
    "IN_MWAIT",
    "IRR",
    "LIST_POISON1",
    "LIST_POISON2",
    "LOCAL_IRQ_COUNT",
    "NDST_MARKER",
    "ON_MASK",
    "PI_CSW_FROM",
    "PI_CSW_TO",
    "SN_MASK",
    "VCPU_KICK_SOFTIRQ",
    "VPF_BLOCKED",
    "Call",
    "Outcome",
    "Store",
    "msi_msg_write_remap_rte",
    "pi_notification_interrupt",
    "pi_wakeup_interrupt",
    "run_procedure",
    "vcpu_kick",
    "vcpu_unblock",
    "vmx_ctxt_switch_from",
    "vmx_ctxt_switch_to",
    "vmx_deliver_posted_interrupt",
    "vmx_deliver_posted_intr",
    "vmx_pi_desc_fixup",
    "vmx_pi_do_resume",
    "vmx_pi_hooks_assign",
    "vmx_pi_hooks_deassign",
    "vmx_pi_per_cpu_init",
    "vmx_pi_switch_from",
    "vmx_pi_switch_to",
    "vmx_pi_unblock_vcpu",
    "vmx_pi_update_irte",
    "vmx_sync_pir_to_irr",
    "vmx_test_pir",
    "vmx_vcpu_block",
    "vmx_vmenter_helper",
]
