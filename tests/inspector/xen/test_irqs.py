"""Irqs from memory: the simulated machine's, whose irq_desc[] is laid out as Xen's."""

from __future__ import annotations

from inspector.capture.inspection import Inspection
from inspector.targets.options import SimOptions
from inspector.targets.sim.simulation import simulated


def test_the_irqs_of_a_simulated_machine_are_those_of_its_msis() -> None:
    with simulated(SimOptions()) as target:
        snapshot = Inspection(target).snapshot
    by_number = {irq.irq: irq for irq in snapshot.irqs}
    assert snapshot.msis
    for msi in snapshot.msis:
        assert by_number[msi.irq].vector == msi.vector
    assert snapshot.problems == ()
