"""A vCPU blocks."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import run_procedure
from sim_backend.memory.errors import SimError

from .alone import W, descriptor, names, waiting


def test_blocking_inserts_first_and_switches_nv_last(layout):
    """The insertion must come first, so that a wakeup interrupt always finds the node."""
    done = run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == [
        *("lock", "pointer", "head.prev", "next", "prev", "head.next", "lock"),
        "nv",
    ]
    assert (descriptor(layout)["nv"], waiting(layout), done.calls) == (W, [0], [])


def test_blocking_waits_for_the_lists_lock(layout):
    layout.memory.set_u32(layout.percpu(0, "vmx_pi_blocking") + 16, 0x10000)
    before = layout.memory.digest()
    with pytest.raises(SimError, match="waits for a lock"):
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    assert layout.memory.digest() == before


def test_a_list_is_first_in_first_out(layout):
    for vcpu in (0, 1, 2):
        layout.put("vcpu", layout.vcpu(1, vcpu), {"processor": 0})
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, vcpu))
    assert waiting(layout) == [0, 1, 2]
