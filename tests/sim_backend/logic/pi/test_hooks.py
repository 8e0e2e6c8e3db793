"""A domain's first device comes, its last one leaves."""

from __future__ import annotations

from sim_backend.logic.pi import run_procedure
from sim_backend.logic.versions import CURRENT, SEED

from .alone import MARKER, P, W, descriptor, set_descriptor, waiting


def test_assigning_repairs_ndst_in_between(layout):
    layout.put("vcpu", layout.vcpu(1, 1), {"processor": 0})
    set_descriptor(layout, 1, ndst=0x100)
    members = ("arch.hvm.pi_ops.flags", "arch.hvm.pi_ops.vcpu_block")
    hooks = {layout.domain(1) + layout.member("domain", name) for name in members}
    for version in (SEED, CURRENT):
        there = layout.copy()
        done = run_procedure("vmx_pi_hooks_assign", there, there.domain(1), version=version)
        ndst = [descriptor(there, vcpu)["ndst"] for vcpu in range(3)]
        if version is CURRENT:
            assert ndst == [0, 0x100, 0], "only those that no hook has seen"
            assert [store.address in hooks for store in done.stores] == [True, False, False, True]
        else:
            assert ndst == [MARKER, 0x100, MARKER], "no repair"
            assert all(store.address in hooks for store in done.stores)


def test_deassigning_cleans_up(layout):
    for version in (SEED, CURRENT):
        there = layout.copy()
        run_procedure("vmx_pi_hooks_assign", there, there.domain(1), version=version)
        run_procedure("vmx_vcpu_block", there, there.vcpu(1, 0))
        done = run_procedure("vmx_pi_hooks_deassign", there, there.domain(1), version=version)
        flags = there.get("domain", there.domain(1), "arch.hvm.pi_ops.flags")
        state = (flags, waiting(there), descriptor(there)["nv"], [call[0] for call in done.calls])
        cleaned = (2, [], P, ["domain_pause", "domain_unpause"])
        assert state == (cleaned if version is CURRENT else (0, [0], W, []))
