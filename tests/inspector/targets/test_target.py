"""What every target does if it says no more: reads one after another, and is left in any case."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from inspector.base.errors import NotHere, NotReadable, TargetError
from inspector.targets.sim.simulation import Simulation
from inspector.targets.target import Control, Driven, Held, Target, is_running
from sim_backend.layout.layout import LayoutConfig
from sim_backend.machine.machine import Machine


class Ram(Target):
    """16 bytes."""

    description = "some RAM"

    def __init__(self):
        self.closed = 0

    def read(self, address, size):
        if address + size > 16:
            raise NotReadable(max(address, 16), size, "there is no more")
        return bytes(range(address, address + size))

    def close(self):
        self.closed += 1


def test_a_part_that_is_not_there_leaves_the_others():
    assert Ram().read_parts([(0, 2), (15, 2), (14, 2), (3, 0)]) == [b"\0\1", None, b"\x0e\x0f", b""]
    assert Ram().read_parts([]) == []


def test_a_target_that_is_lost_is_no_hole():
    class Lost(Ram):
        def read(self, address, size):
            raise TargetError("the connection is gone")

    with pytest.raises(TargetError, match="gone"):
        Lost().read_parts([(0, 1)])


def test_it_is_left_whatever_happens():
    target = Ram()
    with target as same:
        assert same is target
    with pytest.raises(KeyError), target:
        raise KeyError
    assert target.closed == 2


def test_what_memory_alone_cannot_tell():
    with pytest.raises(NotHere, match="some RAM holds nothing else"):
        Ram().ioapics()
    assert Ram().memory() is None
    assert list(Ram().cpus()) == []
    assert not is_running(Ram())


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
