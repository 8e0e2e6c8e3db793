"""A history, shown: what was written down once is what the machine does today, and nothing is too short."""

from __future__ import annotations

from dataclasses import replace

from inspector.explore.page import history as page
from inspector.explore.steps import read
from inspector.explore.trace_events import to_perfetto
from inspector.targets.sim.simulation import read_history

from .histories import COMMITTED


def test_the_committed_history_is_what_the_machine_does_today(stranded):
    """If not, and that is meant: python -m tests.inspector.explore.histories."""
    assert read_history(str(COMMITTED)) == stranded


def test_a_history_without_a_move(stranded, told):
    reading = read(replace(stranded, moves=()))
    assert reading.steps == ()
    assert reading.later == 0
    assert "before the first step" in told(reading)
    page(reading)
    to_perfetto(reading)
