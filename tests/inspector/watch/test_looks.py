"""One look after the other: what changed is marked, and only that."""

from __future__ import annotations

from itertools import pairwise

import pytest

from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from inspector.watch.looks import Looks
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture
def machine():
    machine = Machine(load("wakeup-storm"), seed=3)
    machine.run(3000)
    return machine


def test_what_changed_is_marked_and_only_that(machine):
    looks = Looks(Inspection(Simulation(machine)), 300)
    before = looks.take()
    assert not any(any(row.changed) for row in before.rows)
    changes = 0
    for _ in range(20):
        now = looks.take()
        for old, new in zip(before.rows, now.rows, strict=True):
            assert new.changed == tuple(a != b for a, b in zip(old.cells, new.cells, strict=True))
            changes += sum(new.changed)
        assert [is_new for _, is_new in now.lists] == [text not in dict(before.lists) for text, _ in now.lists]
        earlier = {(f.rule, f.subject, f.severity) for f in before.findings}
        assert list(now.fresh) == [f for f in now.findings if (f.rule, f.subject, f.severity) not in earlier]
        before = now
    assert changes > 50
    assert machine.steps == 3000 + 20 * 300


def test_activity_counts_the_vectors_that_came_or_went(machine):
    target = Simulation(machine)
    looks = Looks(Inspection(target), 200)
    looks.take()
    pirs = [{v.name: set(v.pi.pir) for v in Inspection(target).snapshot.vcpus if v.pi}]
    for _ in range(5):
        seen = looks.take()
        pirs.append({v.name: set(v.pi.pir) for v in Inspection(target).snapshot.vcpus if v.pi})
    rows = {row.cells[0]: row for row in seen.rows}
    for name in pirs[0]:
        wanted = [len(a[name] ^ b[name]) for a, b in pairwise(pirs)]
        assert list(rows[name].activity[-5:]) == wanted


def test_a_suspicion_is_shown_once_a_second_look_has_confirmed_it(machine, monkeypatch):
    from inspector.audit import rule as rules
    from inspector.watch import looks as module

    def found(snapshots, only=None):
        confirmed = len(snapshots) > 1
        return [rules.Finding("D5", "bug" if confirmed else "warning", "d1v0", "x", suspicion=not confirmed)]

    monkeypatch.setattr(module, "confirm", found)
    looks = Looks(Inspection(Simulation(machine)), 1)
    first = looks.take()
    assert (first.findings, first.suspicions) == ((), 1)
    assert not any(row.findings for row in first.rows)
    second = looks.take()
    assert [each.severity for each in second.findings] == [each.severity for each in second.fresh] == ["bug"]
    assert second.suspicions == 0
