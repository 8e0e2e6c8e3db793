"""One procedure alone: its stores and calls in order, and that it ends."""

from __future__ import annotations

import pytest

from sim_backend.layout.layout import DomainConfig, Layout, LayoutConfig
from sim_backend.logic.pi import Store, run_procedure
from sim_backend.memory.errors import SimError


@pytest.fixture
def layout():
    return Layout(LayoutConfig(cpus=2, domains=(DomainConfig(1, 2),)))


def test_stores_and_calls_are_told_in_order(layout):
    layout.put("vcpu", layout.vcpu(1, 0), {"pause_flags": 1})
    done = run_procedure("vcpu_unblock", layout, layout.vcpu(1, 0))
    place = layout.vcpu(1, 0) + layout.member("vcpu", "pause_flags")
    assert done.events == [Store(place, 1, 1, 0), ("vcpu_wake", layout.vcpu(1, 0), 0)]
    assert (done.stores, done.calls) == ([done.events[0]], [done.events[1]])


def test_who_watched_before_watches_again(layout):
    seen = []
    layout.memory.observer = lambda *store: seen.append(store)
    run_procedure("vcpu_unblock", layout, layout.vcpu(1, 0))
    assert seen == []
    layout.memory.set_u8(0x1000, 1)
    assert seen == [(0x1000, 1, 0, 1)]


@pytest.mark.parametrize("fails", [("vmx_vcpu_block", 1 << 60), ("vmx_sync_pir_to_irr", 1 << 60)])
def test_an_error_leaves_the_observer_as_it_was(layout, fails):
    with pytest.raises(SimError):
        run_procedure(fails[0], layout, fails[1])
    assert layout.memory.observer is None


def test_what_does_not_end_is_ended(layout):
    with pytest.raises(SimError, match="did not end within 2 steps"):
        run_procedure("vmx_vcpu_block", layout, layout.vcpu(1, 0), limit=2)


def test_in_an_interrupt_the_own_cpu_is_notified_too(layout):
    v = layout.vcpu(1, 0)
    layout.put("vcpu", v, {"is_running": 1, "processor": 1})
    layout.put("cpu_info", layout.cpu_info(1), {"current_vcpu": layout.virtual(v)})
    outside = run_procedure("vcpu_kick", layout.copy(), v, cpu=1, in_irq=False)
    inside = run_procedure("vcpu_kick", layout.copy(), v, cpu=1, in_irq=True)
    assert (outside.calls, [call[0] for call in inside.calls]) == ([], ["cpu_raise_softirq"])
