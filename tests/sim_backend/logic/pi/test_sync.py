"""PIR is moved to the virtual IRR."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import run_procedure

from .alone import descriptor, set_descriptor


@pytest.mark.parametrize("on", [0, 1])
def test_pir_is_moved_only_if_on(layout, on):
    vectors = 1 << 0x31 | 1 << 0xFE | 1 << 0x10
    set_descriptor(layout, on=on, pir=vectors)
    run_procedure("vmx_sync_pir_to_irr", layout, layout.vcpu(1, 0))
    after = descriptor(layout)
    irr = [layout.memory.u32(layout.vlapic(1, 0) + 0x200 + 16 * word) for word in range(8)]
    assert after["on"] == 0
    assert after["pir"] == (0 if on else vectors)
    assert sum(word << 32 * n for n, word in enumerate(irr)) == (vectors if on else 0)
