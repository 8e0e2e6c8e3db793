"""Random runs of many scenarios and seeds."""

from __future__ import annotations

from importlib.resources import files

import pytest

from inspector.base.errors import UsageError
from inspector.batch.campaign import answer, campaign, runs
from inspector.batch.run import Run, run


def asked(scenarios, seeds, folder, steps=10):
    return list(runs(scenarios, seeds, "current", None, steps, str(folder)))


def test_all_seeds_of_each_scenario(tmp_path):
    (tmp_path / "a.toml").touch()
    (tmp_path / "b.toml").touch()
    made = asked(f"idle,{tmp_path}/*.toml", "3..4", "out")
    names = ["idle", str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]
    assert [(each.scenario, each.seed) for each in made] == [(name, seed) for name in names for seed in (3, 4)]
    assert made[0] == Run("idle", "current", None, 3, 10, "out")
    assert [each.seed for each in asked("idle", "7", "out")] == [7]


@pytest.mark.parametrize("seeds", ["", "4..3", "a..b", "-1..3", "0..1000000", "1.2"])
def test_seeds_that_are_none(seeds):
    with pytest.raises(UsageError, match=f"--seeds {seeds}: expected A..B"):
        asked("idle", seeds, "out")


def test_no_scenario():
    with pytest.raises(UsageError, match="--campaign: expected scenarios"):
        asked(",", "0..1", "out")


@pytest.mark.thorough
def test_here_and_on_a_cluster_alike(tmp_path, dask):
    made = asked("one-device,migration", "0..1", tmp_path)
    here = campaign(made, 2)
    assert [(each.scenario, each.seed, each.step_count) for each in here.results] == [
        (name, seed, 10) for name in ("migration", "one-device") for seed in (0, 1)
    ]
    assert campaign(made, 1, dask) == here
    assert (here.undone, here.left) == ((), 0)


@pytest.mark.thorough
def test_what_fails_and_what_cannot_be_run_is_told(tmp_path):
    failing = list(runs("hotplug", "7", "seed", None, 100, str(tmp_path)))
    made = campaign([*failing, *asked("none", "1", tmp_path)], 1)
    answered = answer(made)
    table, failures, words = answered.blocks
    assert [row[:2] + row[3:4] for row in table.rows] == [("hotplug", "1", "1")]
    assert failures.rows[0][3:5] == ("D17", "unit 0 entry 0x1b")
    assert words.text.endswith("1 runs failed")
    assert answered.problems[0].startswith("none, seed 1: scenario none:")
    assert answered.exit_status == 1
    assert answered.document["runs"][0]["failure"]["rule"] == "D17"


def test_if_none_can_be_run_that_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="scenario none"):
        campaign(asked("none", "1", tmp_path), 1)


def test_a_name_with_a_globs_letters_is_a_name(tmp_path):
    (tmp_path / "what[1].toml").touch()
    assert [each.scenario for each in asked(f"{tmp_path}/what[1].toml", "7", "out")] == [f"{tmp_path}/what[1].toml"]


@pytest.mark.thorough
def test_files_of_one_name_keep_their_failures_apart(tmp_path):
    hotplug = files("sim_backend.scenario").joinpath("bundled", "hotplug.toml").read_text()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.toml").write_text(hotplug)
    made = [run(each) for each in runs(f"{tmp_path}/*/mine.toml", "7", "seed", None, 100, str(tmp_path / "out"))]
    assert len({each.failure.file for each in made}) == 2
