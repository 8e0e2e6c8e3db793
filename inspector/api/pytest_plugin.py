"""A pytest plugin, for tests of tools and of expectations about Xen: machines, dumps, logs and the explorer.

def test_a_post_wakes(vtdpi_sim):
    sim = vtdpi_sim("idle")
    sim.machine.block("d1v0")
    sim.settle()
    assert sim.vcpu("d1v0").blocking_list == 0
    sim.machine.post("00:03.0", 0)
    sim.settle()
    assert sim.vcpu("d1v0").in_guest
    sim.assert_no_bugs()

def test_a_crash_dump_is_sound(vtdpi_dump):
    vtdpi_dump("vmcore").assert_no_bugs()

def test_no_wakeup_is_lost(vtdpi_explorer):
    vtdpi_explorer("two-blocked").assert_holds("no lost wakeup")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from inspector.api.target import Target
    from inspector.audit import Finding
    from inspector.explore.checking import Checked
    from inspector.model.snapshot import Snapshot, Vcpu
    from inspector.targets.sim.simulation import Simulation

LIMIT = 100_000


class SimulatedMachine:
    """A simulated machine and what an inspector finds in its memory.

    Attributes:
        target: the machine as a target of the inspector.
        machine: the machine itself, to drive it (`sim_backend.machine.machine.Machine`).
    """

    def __init__(self, target: Simulation) -> None:
        self.target = target
        self.machine: Any = target.machine

    def snapshot(self) -> Snapshot:
        """What the inspector finds now."""
        from inspector.capture.capture import take
        from inspector.capture.inspection import Inspection

        return take(Inspection(self.target))

    def vcpu(self, name: str) -> Vcpu:
        """What the inspector finds of one vCPU (`d1v0`). Raises LookupError if there is none."""
        return _named(self.snapshot(), name)

    def situation(self, name: str) -> str:
        """Where one vCPU stands, by the inspector: `S1` to `S15`, or `between`."""
        from inspector.analysis.situation import situation

        snapshot = self.snapshot()
        found = situation(snapshot, _named(snapshot, name))
        return found.id if found else ""

    def audit(self) -> list[Finding]:
        """What the inspector's audit says of the machine as it stands."""
        from inspector.audit import audit

        return list(audit(self.snapshot()))

    def assert_no_bugs(self) -> None:
        """Fails the test if the audit is certain that something is wrong; says what, and how each vCPU stands."""
        from inspector.api.audit import audit

        audit(self.snapshot()).assert_no_bugs()

    def settle(self) -> None:
        """Run until nothing can happen any more. Fails the test if the machine crashes or does not come to rest."""
        steps = self.machine.settle(LIMIT)
        self._check()
        if steps == LIMIT:
            pytest.fail(f"the machine did not come to rest within {LIMIT} steps")

    def run_until(self, *words: str) -> Any:
        """Step until a step's line has all of these words; returns its event. Fails the test if none does."""
        for _ in range(LIMIT):
            event = self.machine.step()
            if event is None:
                break
            if all(word in str(event) for word in words):
                return event
        self._check()
        return pytest.fail(f"no step said {' ... '.join(words)}")

    def _check(self) -> None:
        if self.machine.crashed:
            pytest.fail(f"the simulated machine crashed: {self.machine.crashed}")


def _named(snapshot: Snapshot, name: str) -> Vcpu:
    for vcpu in snapshot.vcpus:
        if vcpu.name == name:
            return vcpu
    raise LookupError(f"there is no vCPU {name}")


@pytest.fixture
def vtdpi_sim() -> Callable[..., SimulatedMachine]:
    """Call it with a scenario (`idle`, or a file's path), a version (`current`, `seed`) and a seed for a machine."""

    def make(
        scenario: str | Path = "idle", version: str = "current", seed: int = 0, steps: int = 0
    ) -> SimulatedMachine:
        from inspector.targets.options import SimOptions
        from inspector.targets.sim.simulation import simulated

        return SimulatedMachine(simulated(SimOptions(str(scenario), seed, version, steps=steps)))

    return make


@pytest.fixture
def vtdpi_dump() -> Iterator[Callable[..., Target]]:
    """Call it as `vtdpi.open`, with the path of a dump, a snapshot or a log; it is closed when the test ends."""
    from inspector.api.target import open

    with ExitStack() as opened:
        yield lambda *arguments, **options: opened.enter_context(open(*arguments, **options))


@pytest.fixture
def vtdpi_explorer() -> Callable[..., Checked]:
    """Call it as `vtdpi.check`, with a scenario, and what is to be changed in Xen's logic."""
    from inspector.explore.checking import check

    return check
