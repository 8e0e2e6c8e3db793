"""A vCPU is switched out or in."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import run_procedure

from .alone import descriptor, names, set_descriptor


@pytest.mark.parametrize("blocked", [False, True])
def test_switching_out_suppresses_unless_blocked(layout, blocked):
    layout.put("vcpu", layout.vcpu(1, 0), {"pause_flags": int(blocked)})
    done = run_procedure("vmx_pi_switch_from", layout, layout.vcpu(1, 0))
    assert descriptor(layout)["sn"] == int(not blocked)
    assert names(layout, done.stores) == ([] if blocked else ["on/sn"])


def test_switching_in_directs_first_and_lifts_suppression_last(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"processor": 1})
    set_descriptor(layout, sn=1, pir=1 << 0x31)
    done = run_procedure("vmx_pi_switch_to", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == ["ndst", "on/sn"]
    after = descriptor(layout)
    assert (after["ndst"], after["sn"]) == (1 << 8, 0)
    assert (after["pir"], after["on"]) == (1 << 0x31, 0), "PIR is not looked at"


def test_the_switch_hooks_are_called_only_if_installed(layout):
    for name in ("vmx_ctxt_switch_from", "vmx_ctxt_switch_to"):
        assert run_procedure(name, layout, layout.vcpu(1, 0)).events == []
    run_procedure("vmx_pi_hooks_assign", layout, layout.domain(1))
    for name in ("vmx_ctxt_switch_from", "vmx_ctxt_switch_to"):
        assert run_procedure(name, layout, layout.vcpu(1, 0)).events


def test_an_xapic_id_over_255_is_truncated(layout):
    """As in Xen, which encodes it by MASK_INSR."""
    layout.memory.set_u32(layout.symbol("x86_cpu_to_apicid"), 0x123)
    run_procedure("vmx_pi_switch_to", layout, layout.vcpu(1, 0))
    assert descriptor(layout)["ndst"] == 0x2300
