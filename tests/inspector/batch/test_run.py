"""One run of a campaign: what fails is kept, and fails again."""

from __future__ import annotations

import shlex

import pytest

from inspector.base.errors import VtdpiError
from inspector.batch import run as runs
from inspector.batch.run import Run
from inspector.batch.run import run as run_of_campaign
from sim_backend.machine.machine import Machine


def asked(folder, scenario="hotplug", version="seed", seed=7, steps=100):
    return Run(scenario, version, None, seed, steps, str(folder))


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    return run_of_campaign(asked(tmp_path_factory.mktemp("kept")))


@pytest.mark.thorough
def test_a_bug_ends_it_and_the_file_shows_it_again(failed):
    failure = failed.failure
    assert (failure.rule, failure.subject) == ("D17", "unit 0 entry 0x1b")
    assert failed.step_count == failure.step < 100
    assert failure.file.endswith("/hotplug-seed7-D17.machine")
    words = shlex.split(failure.replay)
    assert words[:4] == ["vtdpi", "sim", "--load", failure.file]
    again = Machine.load(failure.file)
    again.run(int(words[5]))
    assert again.steps == failure.step


@pytest.mark.thorough
def test_its_command_shows_it(failed, run):
    answer = run(*shlex.split(failed.failure.replay)[1:])
    assert answer.status == 1
    assert failed.failure.message in answer.out


@pytest.mark.thorough
def test_the_same_seed_runs_alike_and_what_goes_is_a_suspicion(tmp_path):
    first, second = (run_of_campaign(asked(tmp_path, "one-device", "current", 5, 15)) for _ in range(2))
    assert first == second
    assert (first.failure, first.step_count) == (None, 15)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_a_suspicion_is_a_failure_once_it_lasts(tmp_path, monkeypatch, run):
    """Its file is of when it began."""
    monkeypatch.setattr(runs, "LASTS", 4)
    failed = run_of_campaign(asked(tmp_path, "hotplug", "current", 7, 60))
    failure = failed.failure
    assert failed.suspicion_counts[failure.rule] >= 1
    assert "; the same for 4 steps" in failure.message
    words = shlex.split(failure.replay)
    assert words[4:6] == ["--steps", "4"]
    begun = run("sim", "--load", failure.file, "audit", "--json").json["findings"]
    assert (failure.rule, failure.subject, "warning") in {(f["rule"], f["subject"], f["severity"]) for f in begun}


@pytest.mark.thorough
def test_a_failure_that_cannot_be_kept_is_told_all_the_same(tmp_path):
    (tmp_path / "a file").touch()
    failure = run_of_campaign(asked(tmp_path / "a file")).failure
    assert (failure.rule, failure.file, failure.replay) == ("D17", None, None)
    assert failure.unkept == f"{tmp_path / 'a file'}: File exists"


@pytest.mark.thorough
def test_one_in_which_nothing_happens_is_over_at_once(tmp_path):
    result = run_of_campaign(asked(tmp_path, "h-a", "current", 0, 5000))
    assert result.step_count < 5000
    assert result.failure is None


@pytest.mark.parametrize(
    ("scenario", "version", "said"),
    [("none", "current", "^scenario none: No such file"), ("idle", "none", "^no version 'none' of the logic")],
)
def test_no_such_machine(tmp_path, scenario, version, said):
    with pytest.raises(VtdpiError, match=said):
        run_of_campaign(asked(tmp_path, scenario, version))
