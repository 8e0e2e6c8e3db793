"""The scenarios that come with the simulated machine."""

from __future__ import annotations

from inspector.targets.sim.scenarios import titles
from sim_backend.scenario.scenario import BUNDLED


def test_each_says_what_happens():
    assert list(titles()) == list(BUNDLED)
    assert all(titles().values())
    assert list(titles(["h-a"])) == ["h-a"]
