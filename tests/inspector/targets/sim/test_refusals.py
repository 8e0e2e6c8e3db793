"""A wrong word is status 2, a file that cannot be used 3."""

from __future__ import annotations

import pytest

from inspector.base.errors import TargetError, UsageError
from inspector.targets.sim.refusals import refusals
from sim_backend.memory.errors import FileError, Inconsistent, SimError


@pytest.mark.parametrize("error", [FileError, Inconsistent])
def test_of_a_file(error):
    with pytest.raises(TargetError, match="damaged") as told, refusals():
        raise error("damaged")
    assert told.value.exit_status == 3


@pytest.mark.parametrize(("scenario", "status"), [(None, 2), ("h-a", 2), ("mine.toml", 3), ("", 3)])
def test_of_what_a_scenario_says(scenario, status):
    with pytest.raises((UsageError, TargetError), match="too many") as told, refusals(scenario):
        raise SimError("too many")
    assert told.value.exit_status == status


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--scenario", "no-such"), 2, "bundled ones are"),
        (("--scenario", "no-such.toml"), 3, "scenario no-such.toml: No such file"),
        (("--scenario", ""), 2, "--scenario"),
        (("--scenario", "FILE"), 3, "machine.cpus = 'two': expected a whole number"),
        (("--load", "FILE"), 3, "is no saved machine"),
        (("--load", ""), 2, "--load"),
        (("--replay", ""), 2, "--replay"),
        (("--version", "9"), 2, "no version '9'"),
        (("--profile", "9.9"), 2, "9.9"),
        (("--campaign", "FILE", "--seeds", "1"), 3, "machine.cpus"),
        (("--campaign", "no-such", "--seeds", "1"), 2, "bundled ones are"),
    ],
)
def test_from_the_command_line(run, tmp_path, words, status, message):
    path = tmp_path / "mine.toml"
    path.write_text("[machine]\ncpus = 'two'\n")
    command = [] if "--campaign" in words else ["info"]
    told = run("sim", *(path if word == "FILE" else word for word in words), *command)
    assert (told.status, told.out, told.err.count("\n")) == (status, "", 1)
    assert message in told.err
