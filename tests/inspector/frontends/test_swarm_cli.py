"""`vtdpi explore --swarm`."""

from __future__ import annotations

import pytest


@pytest.mark.thorough
def test_searches_a_verdict_and_a_history(run, tmp_path):
    words = ("explore", "h-a", "--swarm", "2", "--processes", "1", "--save", tmp_path / "h.json")
    answer = run(*words, "--show", "no stranded interrupt")
    assert answer.status == 1
    assert "Search 0 exhausted the scenario: what is not broken holds." in answer.out
    assert run("explore", "--read", tmp_path / "h.json", "--json").json["property"] == "no stranded interrupt"
    refused = run(*words, "--show", "nonsense")
    assert (refused.status, "--show 'nonsense': not broken here" in refused.err) == (2, True)


@pytest.mark.thorough
def test_json_and_bounds(run):
    document = run("explore", "two-by-two", "--swarm", "1", "--states", "200", "--posts", "1", "--json").json
    assert (document["schema"], document["exhausted"]) == ("vtdpi/swarm/3", False)
    assert document["searches"][0]["bounds"]["posts"] == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--swarm", "0"), "expected 1 or more of each"),
        (("--swarm", "2", "--processes", "0"), "expected 1 or more of each"),
        (("--swarm", "2", "--disk", "x"), "--disk stands beside --swarm"),
        (("--swarm", "2", "--bug", "x"), "'x'"),
        (("none", "--swarm", "2"), "scenario none"),
    ],
)
def test_what_does_not_go_together(run, words, why):
    answer = run("explore", *words)
    assert (answer.status, answer.out) == (2, "")
    assert why in answer.err
