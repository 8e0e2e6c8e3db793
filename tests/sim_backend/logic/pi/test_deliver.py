"""Software posts."""

from __future__ import annotations

import pytest

from sim_backend.logic.pi import VCPU_KICK_SOFTIRQ, run_procedure
from sim_backend.logic.versions import CURRENT, SEED

from .alone import P, descriptor, set_descriptor


@pytest.mark.parametrize(
    ("on", "sn", "after", "kicked"), [(0, 0, 1, False), (0, 1, 0, True), (1, 0, 1, True), (1, 1, 1, True)]
)
def test_a_software_post(layout, on, sn, after, kicked):
    """As hardware has it for a message that is not urgent: SN=1 leaves ON as it is."""
    layout.put("vcpu", layout.vcpu(1, 0), {"is_running": 1, "processor": 1})
    set_descriptor(layout, on=on, sn=sn)
    done = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert (descriptor(layout)["on"], descriptor(layout)["pir"]) == (after, 1 << 0x31)
    kick, notify = [("cpu_raise_softirq", 1, VCPU_KICK_SOFTIRQ)], [("send_IPI_mask", 1, P)]
    assert done.calls == (kick if kicked else notify)
    again = run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert [event for event in again.events if not isinstance(event, tuple) and event.before != event.after] == []
    assert again.calls == [], "a vector that is set already is not announced again"


def test_a_changed_exit_map_always_sets_on(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"arch.hvm.vmx.eoi_exitmap_changed": 1})
    set_descriptor(layout, sn=1)
    run_procedure("vmx_deliver_posted_intr", layout, layout.vcpu(1, 0), 0x31)
    assert descriptor(layout)["on"] == 1


def test_notifying_again_while_the_softirq_bit_is_set(layout):
    """The first one suppresses the second IPI by a bit that nobody clears while the guest runs."""
    layout.put("vcpu", layout.vcpu(1, 0), {"is_running": 1, "processor": 1})
    sent = {}
    for version in (SEED, CURRENT):
        there = layout.copy()
        first = run_procedure("vmx_deliver_posted_intr", there, there.vcpu(1, 0), 0x31, version=version)
        there.memory.test_and_clear_bit(there.pi_desc(1, 0) + 32, 0)
        second = run_procedure("vmx_deliver_posted_intr", there, there.vcpu(1, 0), 0x32, version=version)
        sent[version.name] = [len(first.calls), len(second.calls)]
    assert sent == {"seed": [1, 0], "current": [1, 1]}
