"""What can run is told by what it offers, not by what it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inspector.targets.control import Control, Driven, Held, is_running
from inspector.targets.sim.simulation import Simulation
from sim_backend.layout.layout import LayoutConfig
from sim_backend.machine.machine import Machine


def machine(**members):
    return SimpleNamespace(**members)


@pytest.mark.parametrize("running", [True, False])
def test_a_machine_that_can_be_stopped_tells_whether_it_runs(running):
    whole = machine(running=running, stop=lambda: None, cont=lambda: None)
    assert isinstance(whole, Control)
    assert is_running(whole) is running


def test_one_that_cannot_does_not():
    assert not is_running(machine(running=True))
    assert not is_running(None)


def test_a_simulated_machine_is_driven():
    simulation = Simulation(Machine(LayoutConfig()))
    assert isinstance(simulation, Driven)
    assert not isinstance(simulation, Control)
    assert not isinstance(simulation, Held)
    assert not is_running(simulation)
