"""A model as its author writes it, and what he is told of it."""

from __future__ import annotations

import doctest

import pytest

from sim_backend.explore import model as module
from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES, Action, Model, Property
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN
from sim_backend.explore.search import Search


def test_the_example_is_a_model_that_holds():
    names = {"Action": Action, "Model": Model, "Property": Property}
    test = doctest.DocTestParser().get_doctest(module.__doc__, names, "model", None, None)
    assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
    result = Search(test.globs["ring"]).run()
    assert (result.states, result.transitions) == (3, 3)
    assert [verdict.verdict for verdict in result.verdicts] == [HOLDS]


def countdown(progress=True):
    def act(view):
        if view["n"] == 3:
            return False
        view["n"] = view["n"] + 1
        return True

    return lambda asked: Model(lambda key: 0, [Action("count", act, progress)], [asked])


@pytest.mark.parametrize(
    ("kind", "wanted", "verdict"),
    [
        (ALWAYS, {0, 1, 2, 3}, HOLDS),
        (ALWAYS, {0, 1, 3}, BROKEN),
        (SOMETIMES, {2}, SEEN),
        (SOMETIMES, {4}, NOT_SEEN),
        (EVENTUALLY, {3}, HOLDS),
        (EVENTUALLY, {2}, BROKEN),
        (AT_REST, {3}, HOLDS),
        (AT_REST, {0, 1, 2}, BROKEN),
    ],
)
def test_each_kind_of_property(kind, wanted, verdict):
    result = Search(countdown()(Property("n", lambda view: view["n"] in wanted, kind))).run()
    assert result.verdicts[0].verdict == verdict


def test_what_is_no_progress_may_never_happen():
    """Then every state is one at rest, and nothing need come."""
    for kind in (EVENTUALLY, AT_REST):
        last = Property("last", lambda view: view["n"] == 3, kind)
        assert Search(countdown()(last)).run().verdicts[0].verdict == HOLDS
        assert Search(countdown(progress=False)(last)).run().verdicts[0].verdict == BROKEN
