"""A vCPU is unblocked."""

from __future__ import annotations

from sim_backend.logic.pi import run_procedure


def test_a_software_post_unblocks(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"pause_flags": 1})
    done = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert done.calls == [("vcpu_wake", layout.vcpu(1, 0), 0)]
