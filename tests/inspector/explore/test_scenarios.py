"""The scenarios that one can ask for, by their names."""

from __future__ import annotations

import pytest

from inspector.explore.scenarios import to_explore
from sim_backend.scenario.scenario import BUNDLED, load


def test_all_are_listed_and_can_be_loaded(run):
    document = run("sim", "--scenarios", "--json").json
    assert [each["name"] for each in document["run"]] == list(BUNDLED)
    assert [each["name"] for each in document["explored"]] == to_explore()
    assert all(load(each["name"]).title == each["title"] for each in document["explored"])
    text = run("sim", "--scenarios").out
    assert all(name in text for name in (*BUNDLED, *to_explore()))


def test_one_that_is_none_is_told_those_of_explore(run):
    ran = run("explore", "nosuch")
    assert ran.status == 2
    assert "'nosuch' is neither a file nor a scenario" in ran.err
    assert "h-a, h-b" in ran.err
    assert run("explore", "h-aa").err.startswith("vtdpi: did you mean h-a? ")


@pytest.mark.thorough
def test_a_search_that_stopped_early_has_a_status_of_its_own(run):
    assert run("explore", "two-by-two", "--states", "50").status == 4
