"""Symmetry of the machine."""

from __future__ import annotations

import pytest

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.renaming import renamings
from sim_backend.explore.search import Search
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.bounds import Bounds
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def bounded():
    scenario = load("two-blocked")
    return BoundedMachine(started(scenario, CURRENT), scenario.bounds)


@pytest.fixture(scope="module")
def renaming(bounded):
    (found,) = renamings(bounded.machine, bounded.bounds)
    return found


def test_the_two_vcpus_trade_places(bounded, renaming):
    machine = bounded.machine
    one, other = machine.names
    assert (renaming.place(one), renaming.place(other)) == (other, one)
    assert renaming.place(machine.context.virtual(one + 8)) == machine.context.virtual(other + 8)
    assert renaming.place(0x1000) == 0x1000


def test_twice_is_nothing_for_every_key_and_value_that_occurs(bounded, renaming):
    search = Search(bounded.model(), symmetry=False)
    search.run()
    for field, key in enumerate(search.fields.keys):
        there = renaming.key(key)
        assert renaming.key(there) == key
        for value in search.fields.values[field]:
            assert renaming.value(there, renaming.value(key, value)) == value, key


def test_the_interrupts_go_with_their_vcpus(bounded, renaming):
    passthrough = bounded.machine.context.passthrough
    bindings = bounded.machine.base.state.bindings
    for key, ((v, vector),) in bindings.items():
        ((other, its),) = bindings[renaming.msi(key)]
        assert (renaming.place(v), renaming.vector(v, vector)) == (other, its)
    for device in bounded.machine.layout.devices.values():
        for msi in device.msis:
            its = renaming.message(msi.address, msi.data)
            assert renaming.msi(passthrough.msi_key(msi)) in bindings
            assert its == (msi.address, msi.data) or renaming.message(*its) == (msi.address, msi.data)


def test_events_by_number_leave_none(bounded):
    assert renamings(bounded.machine, Bounds(posts=1, offlines=1)) == []
