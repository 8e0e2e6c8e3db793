"""What an exploration found, as an answer: which history is shown, and what is said where nothing is proved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inspector.base.errors import UsageError
from inspector.explore.verdicts import Found, answer, shown
from inspector.model.answer import Table, Text
from sim_backend.explore import Exploration
from sim_backend.explore.model import ALWAYS, SOMETIMES
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN, UNKNOWN, Result, Verdict
from sim_backend.logic.versions import CURRENT
from sim_backend.machine.environment import Move
from sim_backend.scenario.bugs import BUGS, REPAIRS
from sim_backend.scenario.scenario import load

STEP = Move("CPU 0")
LOST, STRANDED, CRASH = "no lost wakeup", "no stranded interrupt", "Xen does not crash"
RESULT = Result(True, None, 1234, 5678, 9, 10, 0.5, 64.0, ())


def explored(*verdicts: Verdict, **result: object) -> Exploration:
    """An exploration that found this; nothing is explored."""
    return Exploration(
        load("h-a"), CURRENT, False, replace(RESULT, verdicts=verdicts, **result), search=None, machine=None
    )


def broken(name: str, steps: int) -> Verdict:
    return Verdict(name, ALWAYS, BROKEN, f"{name} no more", (STEP,) * steps)


def text(found: Found, history_of: Verdict | None = None) -> list[str]:
    return [str(block.text) for block in answer(found, history_of).blocks if isinstance(block, Text)]


def table(found: Found) -> Table:
    (made,) = (block for block in answer(found, None).blocks if isinstance(block, Table))
    return made


class TestShown:
    def test_the_shortest_that_breaks_a_property(self):
        verdicts = (broken(LOST, 7), broken(STRANDED, 5), Verdict("seen", SOMETIMES, SEEN, None, (STEP,)))
        assert shown(Found(explored(*verdicts)), None) is verdicts[1]

    def test_what_is_broken_without_the_bug_too_comes_last(self):
        with_bug = explored(broken(LOST, 7), broken(STRANDED, 5))
        assert shown(Found(with_bug, explored(broken(STRANDED, 5))), None).name == LOST
        assert shown(Found(with_bug, explored(broken(STRANDED, 5), broken(LOST, 7))), None).name == STRANDED

    def test_nothing_where_nothing_is_broken(self):
        assert shown(Found(explored(Verdict(LOST, ALWAYS, HOLDS))), None) is None
        assert shown(Found(explored(Verdict("seen", SOMETIMES, SEEN, None, (STEP,)))), None) is None

    def test_the_one_that_was_asked_for(self):
        seen = Verdict("a wake-up", SOMETIMES, SEEN, None, ())
        found = Found(explored(broken(LOST, 3), seen, Verdict(CRASH, ALWAYS, HOLDS)))
        assert shown(found, "a wake-up") is seen
        with pytest.raises(UsageError, match="--show 'Xen does not crash': no history leads there") as caught:
            shown(found, CRASH)
        assert "there is one for 'no lost wakeup', 'a wake-up'" in str(caught.value)
        with pytest.raises(UsageError, match="there is one for no property"):
            shown(Found(explored()), CRASH)


class TestDocument:
    def test_each_verdict_with_its_moves(self):
        found = Found(explored(broken(LOST, 2), Verdict(CRASH, ALWAYS, UNKNOWN)))
        document = answer(found, None).document
        assert document["schema"] == "vtdpi/explore/3"
        numbers = ("scenario", "version", "exhausted", "stop_reason", "states", "transitions", "depth")
        assert [document[name] for name in numbers] == ["h-a", "current", True, None, 1234, 5678, 9]
        lost, crash = document["properties"]
        assert lost == {
            "name": LOST,
            "kind": ALWAYS,
            "verdict": BROKEN,
            "without": None,
            "why": f"{LOST} no more",
            "moves": [{"turn": "CPU 0"}] * 2,
        }
        assert (crash["verdict"], crash["moves"]) == (UNKNOWN, None)

    def test_beside_the_same_without_the_bug(self):
        found = Found(explored(broken(LOST, 2)), explored(Verdict(LOST, ALWAYS, HOLDS)))
        assert answer(found, None).document["properties"][0]["without"] == HOLDS

    def test_a_history_of_no_move_is_one(self):
        """Broken at the start: that is no `null`, which says that there is no history."""
        assert answer(Found(explored(broken(LOST, 0))), None).document["properties"][0]["moves"] == []


class TestBlocks:
    def test_what_was_searched(self):
        title, count = text(Found(explored()))[:2]
        assert title == f"h-a: {load('h-a').title} (current)"
        assert count == ("1,234 states, 5,678 actions, depth 9: exhausted, in 0.5 s (2,468 states/s, 64 bytes a state)")

    def test_what_was_not_exhausted_says_why_and_an_instant_has_no_rate(self):
        found = Found(explored(exhausted=False, stopped="budget of 10 states", seconds=0.0))
        assert "NOT exhausted: budget of 10 states, in 0.0 s (0 states/s" in text(found)[1]

    def test_a_row_for_each_property_that_must_hold(self):
        found = Found(explored(broken(LOST, 2), Verdict(CRASH, ALWAYS, HOLDS), Verdict("x", SOMETIMES, SEEN)))
        made = table(found)
        assert made.columns == ("kind", "property", "in the model")
        assert list(made.rows) == [(ALWAYS, LOST, "broken, after 2 steps"), (ALWAYS, CRASH, HOLDS)]

    def test_with_and_without_a_bug(self):
        bug, repair = next(iter(BUGS.values())), next(iter(REPAIRS.values()))
        without = explored(Verdict(LOST, ALWAYS, HOLDS), states=99, exhausted=False, stopped="memory")
        found = Found(explored(broken(LOST, 2)), without, (bug, repair), (repair.name,))
        assert (found.bugs, found.broken_without) == (bug.name, frozenset())
        made = table(found)
        assert made.columns == ("kind", "property", f"with {bug.name}", "without")
        assert list(made.rows) == [(ALWAYS, LOST, "broken, after 2 steps", HOLDS)]
        said = text(found)
        assert f"{bug.name}: {bug.title}. {bug.what}" in said[1]
        assert said[2] == f"{repair.name}: {repair.title}. {repair.what}", "a repair mends, it is not mended"
        assert (
            f"Without {bug.name}: 99 states, NOT exhausted: memory. With {repair.name} both times: else the same is "
            f"broken without {bug.name} too."
        ) in said
        assert f"Without {bug.name}: 99 states, NOT exhausted: memory." in text(replace(found, hidden_by=()))

    def test_what_occurs_by_whether_it_did_with_situations_in_one_word(self):
        verdicts = [
            Verdict(name, SOMETIMES, verdict)
            for name, verdict in (
                ("situation S1", SEEN),
                ("a wake-up", SEEN),
                ("situation S9", SEEN),
                ("situation S8", NOT_SEEN),
                ("an IPI", UNKNOWN),
            )
        ]
        assert text(Found(explored(*verdicts)))[-2:] == [
            "seen: a wake-up, situations S1 S9",
            "not seen: situations S8",
        ]

    def test_whose_history_follows(self):
        lost = broken(LOST, 2)
        assert text(Found(explored(lost)), lost)[-1].endswith(f"How it is broken; {LOST} no more:")
        own = Verdict("mine", ALWAYS, BROKEN, None, ())
        assert text(Found(explored(own)), own)[-1] == "mine: a property of your own. How it is broken:"
