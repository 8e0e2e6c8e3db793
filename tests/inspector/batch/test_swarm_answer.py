"""A swarm as an answer: it says what is proved, and what is not."""

from __future__ import annotations

import pytest

from inspector.batch.swarm import Member, members, swarm
from inspector.batch.swarm_answer import answer
from sim_backend.explore.search import Limits
from sim_backend.logic.versions import CURRENT
from sim_backend.scenario.scenario import load


def made(count, **limits):
    scenario = load("h-a")
    return swarm(list(members(Member(0, scenario, CURRENT, scenario.bounds, Limits(**limits)), count)), 1)


@pytest.fixture(scope="module")
def exhausted():
    return answer(made(2))


@pytest.mark.thorough
def test_what_was_exhausted_is_proved(exhausted):
    searches, broken, words = exhausted.blocks[:3]
    assert searches.rows[0][:3] == ("0", "at the beginning", "all")
    assert searches.rows[0][5] == "exhausted"
    assert {row[0] for row in broken.rows} == {"no lost wakeup", "no stranded interrupt"}
    assert words.text.endswith("Search 0 exhausted the scenario: what is not broken holds.")
    document = exhausted.document
    assert (document["exhausted"], document["states_error"]) == (True, 0.0)
    assert document["searches"][1]["bounds"].keys() == {"posts", "blocks", "preemptions"}
    assert exhausted.exit_status == 1


@pytest.mark.thorough
def test_what_was_not_is_not():
    answered = answer(made(1, states=100))
    assert answered.blocks[1].text.endswith("The scenario is NOT exhausted. Nothing is broken there; it is not proved.")
    assert answered.document["not_seen"]
    assert (answered.document["exhausted"], answered.exit_status) == (False, 0)
