"""Messages to local APICs."""

from __future__ import annotations

import pytest

from sim_backend.logic.apics import LOWEST_VECTOR
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("idle"))
    machine.settle()
    return machine


@pytest.mark.parametrize(("destination", "vector"), [(99, 0x40), (0, LOWEST_VECTOR - 1)])
def test_a_message_that_nobody_takes_is_lost(machine, destination, vector):
    machine.context.services.message(destination, vector)
    assert machine.state.lost == 1
    assert [cpu.lapic.irr for cpu in machine.cpus] == [0, 0]


def test_a_broadcast_comes_to_all_that_are_online(machine):
    machine.state.online.remove(1)
    machine.context.services.message(0xFF, 0x40)
    assert [cpu.lapic.irr for cpu in machine.cpus] == [1 << 0x40, 0]
