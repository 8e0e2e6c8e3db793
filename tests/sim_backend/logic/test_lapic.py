"""A local APIC: what it requests, delivers and has in service, and that its page shows it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim_backend.layout.layout import Layout, LayoutConfig
from sim_backend.logic.lapic import Lapic

LAYOUT = Layout(LayoutConfig(cpus=2))
actions = st.lists(st.one_of(st.integers(16, 255), st.sampled_from(["take", "end"])), max_size=30)


@given(actions)
def test_it_is_what_the_manual_says(done):
    layout = LAYOUT.copy()
    lapic = Lapic.of(layout.memory, 1)
    requested, service = set(), set()
    for what in done:
        best = max(requested, default=0)
        free = best if best >> 4 > max(service, default=0) >> 4 else 0
        assert lapic.deliverable() == free
        if what == "take":
            if free:
                lapic.acknowledge(free)
                requested.remove(free)
                service.add(free)
        elif what == "end":
            assert lapic.end_of_interrupt() == max(service, default=-1)
            service.discard(max(service, default=-1))
        else:
            assert lapic.request(what) == (what in requested)
            requested.add(what)
    again = Lapic.of(layout.memory, 1)
    assert (
        (again.irr, again.isr) == (lapic.irr, lapic.isr) == tuple(sum(1 << v for v in s) for s in (requested, service))
    )
    assert Lapic.of(layout.memory, 0).irr == 0, "the other CPU's is another one"


def test_init_clears_it():
    layout = LAYOUT.copy()
    lapic = Lapic.of(layout.memory, 0)
    for vector in (0x31, 0xF2):
        lapic.request(vector)
    lapic.acknowledge(0xF2)
    lapic.clear()
    assert (lapic.irr, lapic.isr, lapic.deliverable()) == (0, 0, 0)
    assert layout.memory.digest() == LAYOUT.memory.digest()
