"""One inspection: where it looks, what it notes, what it does only once."""

from __future__ import annotations

import pytest

from inspector.base.errors import NotHere, NotReadable, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.model.snapshot import Snapshot, Vcpu
from inspector.targets.recorded.recorded import RecordedTarget
from inspector.targets.sim.simulation import Simulation
from inspector.targets.target import Target
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


class Nothing(Target):
    """A memory of which nothing can be read; it counts how often that was tried."""

    description = "nothing"
    reads = 0

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        raise NotReadable(address, size, "there is nothing")


def recorded(**parts: object) -> Inspection:
    return Inspection(RecordedTarget("a log", Snapshot("a log", **parts)))  # type: ignore[arg-type]


def test_a_recorded_target_is_its_snapshot() -> None:
    inspection = recorded(vcpus=(Vcpu(1, 0),))
    assert inspection.machine() is inspection.snapshot is inspection.deferred
    assert inspection.xen is None


def test_symbols_for_what_holds_no_memory_are_told_not_to_be_used() -> None:
    for named in ({"symbols": "xen-syms"}, {"profile": "4.20"}):
        inspection = Inspection(RecordedTarget("snapshot x", Snapshot("x")), **named)
        assert inspection.snapshot.target == "x"
        assert inspection.notes == [f"snapshot x holds no memory, so {next(iter(named.values()))} is not used"]


def test_a_log_without_vcpus_says_so() -> None:
    with pytest.raises(NotHere, match="a log tells of no vCPU"):
        recorded().machine()


def test_a_memory_without_a_xen_says_why() -> None:
    with pytest.raises(VtdpiError, match="no Xen found in nothing"):
        Inspection(Nothing()).machine()


def test_a_search_that_failed_is_not_done_again() -> None:
    target = Nothing()
    inspection = Inspection(target)
    for _ in range(2):
        with pytest.raises(VtdpiError):
            inspection.raw_dmar  # noqa: B018
        reads, target.reads = target.reads, 0
    assert reads == 0


def test_the_next_inspection_finds_the_same_xen_at_once() -> None:
    target = Simulation(Machine(load("idle")))
    first = Inspection(target)
    assert first.xen is not None
    second = first.again()
    assert second.xen is not None
    assert second.xen.memory.root == first.xen.memory.root


def test_a_profile_that_does_not_fit_is_told_and_the_known_one_serves() -> None:
    inspection = Inspection(Simulation(Machine(load("idle"))), profile="4.17")
    assert inspection.xen is not None
    (absence,) = inspection.absent
    assert "4.17" in absence.why
    assert any("going on with the known profile" in note for note in inspection.notes)
