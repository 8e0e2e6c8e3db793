"""A state of the search as a machine of its own."""

from __future__ import annotations

import pytest

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.materialise import materialised
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def tracked():
    scenario = load("two-blocked")
    return BoundedMachine(started(scenario, CURRENT), scenario.bounds).machine


def test_the_first_state_is_the_machine(tracked):
    made = materialised(tracked, {})
    assert made.memory == tracked.base.memory
    tracked.base.state.background = True
    assert made.digest() == tracked.base.digest()


def test_what_mirrors_the_state_is_there_again(tracked):
    idle = tracked.base.context.addresses.idle[0]
    state = {
        ("machine", "curr", 0): idle,
        ("CPU 0", "where"): (idle, False),
        ("local APIC of CPU 0", "lapic"): (1 << 0xF2, 0),
        ("machine", "owners"): (),
    }
    made = materialised(tracked, state)
    layout = made.layout
    assert made.memory.u64(layout.percpu(0, "curr_vcpu")) == made.context.virtual(idle)
    assert made.memory.u32(layout.lapic(0) + 0x200 + 16 * 7) == 1 << 0xF2 % 32
    assert made.cpus[0].current == idle
    assert all(layout.get("pci_dev", device.address, "domain") == 0 for device in layout.devices.values())
    assert made.state.owners == {}
