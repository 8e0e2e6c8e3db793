"""PIR is moved to the virtual IRR."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim_backend.logic.kvm.sync import vmx_sync_pir_to_irr
from sim_backend.logic.program import Actor, ActorId, ActorKind
from tests.sim_backend.logic.kvm.conftest import field, made

MACHINE = made()
WHOLE = st.integers(0, (1 << 256) - 1)


def synced(pir, irr, on):
    """What it returns, and what the descriptor and the virtual IRR are then."""
    machine = MACHINE.copy()
    v, w = machine.vcpu("vm1v0"), machine.context
    machine.memory.write(v + machine.o.pir, pir.to_bytes(32, "little"))
    machine.memory.set_u8(v + machine.o.control, on)
    place = w.addresses.irrs[v]
    for at in range(8):
        machine.memory.set_u32(place + 16 * at, irr >> 32 * at & 0xFFFF_FFFF)
    actor = Actor(ActorId(ActorKind.CPU, 0), "CPU 0", 0)
    actor.call(vmx_sync_pir_to_irr, v)
    while actor.stack:
        assert actor.advance(w)
    now = sum(machine.memory.u32(place + 16 * at) << 32 * at for at in range(8))
    return actor.result, now, field(machine, v, "pir"), field(machine, v, "on")


@given(WHOLE, WHOLE)
def test_all_of_pir_is_in_irr_then(pir, irr):
    assert synced(pir, irr, 1) == ((pir | irr).bit_length() - 1, pir | irr, 0, 0)


@given(WHOLE, WHOLE)
def test_pir_is_not_looked_at_without_on(pir, irr):
    assert synced(pir, irr, 0) == (irr.bit_length() - 1, irr, pir, 0)
