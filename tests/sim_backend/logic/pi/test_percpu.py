"""A CPU goes."""

from __future__ import annotations

from sim_backend.logic.pi import run_procedure
from sim_backend.logic.versions import CURRENT, SEED

from .alone import descriptor, set_descriptor, waiting


def test_a_cpu_that_goes_offline_leaves_nobody_behind(layout):
    for vcpu in (0, 1, 2):
        layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 1, "pause_flags": 1})
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
        set_descriptor(layout, vcpu, ndst=0x100, on=int(vcpu == 1))
    layout.offline(1)
    for version in (SEED, CURRENT):
        there = layout.copy()
        done = run_procedure("vmx_pi_desc_fixup", there, 1, version=version)
        if version is SEED:
            assert done.events == []
            continue
        assert done.calls == [("vcpu_wake", there.vcpu(1, 1), 0)]
        assert (waiting(there, 1), waiting(there, 0)) == ([], [2, 0]), "reinserted at the front"
        assert [descriptor(there, vcpu)["ndst"] for vcpu in (0, 2)] == [0, 0]
        assert [descriptor(there, vcpu)["sn"] for vcpu in range(3)] == [0, 0, 0]
