"""`vtdpi sim --campaign`."""

from __future__ import annotations

import pytest


@pytest.mark.thorough
def test_a_campaign_and_its_failure(run, tmp_path):
    words = ("--campaign", "hotplug", "--seeds", "7", "--steps", "100", "--processes", "1", "--keep", tmp_path / "out")
    answer = run("sim", "--version", "seed", *words)
    assert answer.status == 1
    assert "1 runs failed" in answer.out
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["hotplug-seed7-D17.machine"]


@pytest.mark.thorough
def test_json(run, tmp_path):
    words = ("--campaign", "idle", "--seeds", "1", "--steps", "3", "--processes", "1", "--keep", tmp_path / "out")
    document = run("sim", "--json", *words).json
    assert (document["schema"], document["runs"][0]["step_count"], document["left_count"]) == ("vtdpi/campaign/3", 3, 0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--scenario", "idle"), "--scenario stands beside --campaign"),
        (("--load", "x"), "--load stands beside --campaign"),
        (("vcpus",), "a campaign takes no command"),
        (("--processes", "0"), "--processes 0: expected 1 or more"),
        (("--seeds", "x"), "--seeds x: expected A..B"),
    ],
)
def test_what_does_not_go_together(run, words, why):
    answer = run("sim", "--campaign", "idle", *words)
    assert (answer.status, answer.out) == (2, "")
    assert why in answer.err
