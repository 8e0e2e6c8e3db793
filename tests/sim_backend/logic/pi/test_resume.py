"""The way to VM entry."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import LIST_POISON1, LIST_POISON2, run_procedure
from sim_backend.memory.errors import SimError

from .alone import P, descriptor, names, waiting


def test_before_vm_entry_nv_first_then_off_the_list(layout):
    run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0))
    done = run_procedure("vmx_pi_do_resume", layout, layout.vcpu(1, 0))
    assert names(layout, done.stores) == [
        *("nv", "lock", "head.prev", "head.next", "next", "prev", "pointer", "lock"),
    ]
    node = layout.vcpu(1, 0) + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
    poison = (layout.memory.u64(node), layout.memory.u64(node + 8))
    assert poison == (LIST_POISON1, LIST_POISON2)
    assert (descriptor(layout)["nv"], waiting(layout)) == (P, [])


def test_wild_pointers_are_errors(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"arch.hvm.vmx.pi_blocking.lock": 0x1234})
    with pytest.raises(SimError, match="0x1234"):
        run_procedure("vmx_pi_do_resume", layout, layout.vcpu(1, 0))
    with pytest.raises(SimError, match="no procedure"):
        run_procedure("vmx_vcpu_blok", layout)
