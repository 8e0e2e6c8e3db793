"""SPIN finds the states that a search has found, in the model that the search has learnt."""

from __future__ import annotations

import pytest

from sim_backend.explore.bounded import BoundedMachine
from sim_backend.explore.model import Action, Model
from sim_backend.explore.promela import write
from sim_backend.explore.search import Limits, Search
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.history import started
from sim_backend.scenario.scenario import load

BREADTH_FIRST = "-DBFS"


def agree(search, spun):
    """SPIN counts the first state as a transition."""
    result = search.run()
    assert result.exhausted
    found = spun(search, BREADTH_FIRST)
    assert (found.states, found.transitions - 1, found.depth) == (result.states, result.transitions, result.depth)
    return result


@pytest.mark.thorough
@pytest.mark.parametrize(
    "make",
    [
        lambda models: models.philosophers(6),
        lambda models: models.philosophers(5, left_handed=True),
        lambda models: models.buffer(5),
        lambda models: models.peterson(),
        lambda models: models.election((2, 5, 3, 4)),
        lambda models: models.channel("choice"),
    ],
    ids=["philosophers", "one left-handed", "buffer", "Peterson", "election", "channel"],
)
def test_classics(models, spin, make):
    agree(Search(make(models)), spin)


@pytest.mark.thorough
def test_a_machine(spin):
    scenario = load("h-a")
    bounds = scenario.bounds.but(preemptions=1)
    search = Search(BoundedMachine(started(scenario, CURRENT), bounds).model(), symmetry=False)
    assert agree(search, spin).states > 1000


@pytest.mark.thorough
def test_rows_of_several_words_and_no_action(spin):
    """100 bits that are set one after the other; then nothing can be done."""

    def step(view):
        if view["at"] == 100:
            return False
        view["bit", view["at"]] = True
        view["at"] += 1
        return True

    search = Search(Model(lambda key: 0 if key == "at" else False, [Action("step", step)]))
    assert agree(search, spin).states == 101
    assert search.fields.words > 1
    agree(Search(Model(lambda key: 0, [Action("never", lambda view: False)])), spin)


def test_depth_first_finds_as_many(models, spin):
    search = Search(models.philosophers(5))
    states = search.run().states
    assert spin(search).states == states


def test_what_is_learnt_in_part_is_no_model(models, tmp_path):
    stopped = Search(models.philosophers(5), Limits(states=20))
    symmetric = Search(models.philosophers(5, symmetries=models.rotations(5)))
    for search in (stopped, symmetric):
        search.run()
        with pytest.raises(ValueError, match="all states"):
            write(search, tmp_path / "model.pml")
    assert not list(tmp_path.iterdir())
