"""A snapshot is read part by part, and is of one moment."""

from __future__ import annotations

import pytest

from inspector.base.errors import NotReadable, StaleError
from inspector.capture.inspection import Inspection
from inspector.model.absence import NOT_APPLICABLE
from inspector.model.snapshot import dumps, loads
from inspector.targets.sim.simulation import Simulation
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def simulation():
    with Simulation(Machine(load("idle"))) as target:
        yield target


def test_a_part_is_read_when_it_is_asked_for(simulation):
    snapshot = Inspection(simulation).deferred
    assert not snapshot.has_read("vcpus")
    assert snapshot.units[0].base
    assert not snapshot.units[0].has_read("raw")
    assert not snapshot.has_read("vcpus")
    assert snapshot.vcpus
    assert snapshot.has_read("lists")


def test_what_is_read_late_is_what_is_read_at_once(simulation):
    snapshot = Inspection(simulation).deferred
    for name in ("dmar", "pins", "vcpus", "units"):
        getattr(snapshot, name)
    assert snapshot == Inspection(simulation).snapshot


def test_a_part_of_another_moment_is_refused(simulation):
    snapshot = Inspection(simulation).deferred
    unit = snapshot.units[0]
    simulation.drive("run", 1)
    with pytest.raises(StaleError, match="has run since"):
        snapshot.vcpus  # noqa: B018
    with pytest.raises(StaleError, match="has run since"):
        unit.raw  # noqa: B018


def test_everything_goes_through_a_file(simulation):
    snapshot = Inspection(simulation).snapshot
    assert snapshot.dmar
    assert snapshot.ioapics
    assert snapshot.units[0].registers
    assert snapshot.units[0].queue
    assert snapshot.units[0].register("GSTS")["ires"] == 1
    assert loads(dumps(snapshot)) == snapshot


def test_a_target_without_registers_says_so(simulation, monkeypatch):
    base, read = Inspection(simulation).deferred.units[0].register_base, simulation.read

    def memory_only(address, size):
        if base <= address < base + 0x1000:
            raise NotReadable(address, size, "it is device memory")
        return read(address, size)

    monkeypatch.setattr(simulation, "read", memory_only)
    snapshot = Inspection(simulation).snapshot
    (said,) = [absence for absence in snapshot.units[0].absent if absence.member == "registers"]
    assert (said.kind, said.subject, said.address) == (NOT_APPLICABLE, "unit 0", snapshot.units[0].register_base)
    assert snapshot.problems == ()
    assert snapshot.units[0].cap_pi is not None
