"""The words of `vtdpi explore`, as a user types them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from inspector.explore.options import BoundOptions
from inspector.explore.show import show
from inspector.frontends.cli import main
from inspector.targets.sim.simulation import read_history
from sim_backend.scenario.bounds import Bounds

from ..conftest import check_schema

COMMITTED = Path(__file__).parents[1] / "explore/stranded.json"
H_A = ["explore", "h-a", "--blocks", "0"]
"""A post while a vCPU is preempted, and nothing else."""


@pytest.mark.thorough
def test_a_history_is_saved_read_and_replayed(tmp_path, capsys):
    history, page, trace = (tmp_path / name for name in ("h.json", "h.html", "h.trace"))
    assert main([*H_A, "--save", str(history), "--html", str(page), "--perfetto", str(trace)]) == 1
    steps = len(json.loads(history.read_text())["moves"])
    assert "</html>" in page.read_text()
    assert json.loads(trace.read_text())["traceEvents"]
    capsys.readouterr()
    main(["explore", "--read", str(history)])
    assert "on stays 0" in capsys.readouterr().out
    main(["sim", "--replay", str(history), "--at", str(steps), "--json", "pi", "d1v0"])
    assert '"on": 0' in capsys.readouterr().out


def test_each_bound_has_a_word():
    assert tuple(Bounds().numbers()) == tuple(BoundOptions().events())


def test_what_there_is(capsys):
    assert main(["explore", "--list"]) == 0
    out = capsys.readouterr().out
    for name in ("ZOO-01", "repair-linux-sn", "two-by-two", "no lost wakeup"):
        assert name in out
    assert main(["explore", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    check_schema(listed)
    changes = {each["name"]: each for each in listed["changes"]}
    assert (changes["ZOO-03"]["mended"][:14], changes["ZOO-03"]["scenario"]) == ("Xen b151125b4d", "zoo-03")
    assert changes["repair-linux-sn"]["mended"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing-there"], "nothing-there"),
        (["--bug", "ZOO-99"], "ZOO-99"),
        (["--repair", "x"], "no change 'x'"),
        (["--posts", "-7"], "explore.posts = -7"),
        (["--show", "x", "--posts", "0"], "--show 'x'"),
        (["--threads", "0"], "--threads 0"),
        (["--version", "9"], "no version '9'"),
        (["--save", "/no/such/directory/h.json"], "/no/such/directory/h.json"),
    ],
)
def test_what_is_wrong_is_one_line(words, said, capsys):
    assert main([*H_A, *words] if words[0].startswith("-") else ["explore", *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize("words", [["no-such.toml"], [""], ["h-a", "--property", "no-such.py"]])
@pytest.mark.parametrize("swarm", [[], ["--swarm", "1", "--processes", "1"]])
def test_a_file_that_cannot_be_read_is_one_line(words, swarm, run):
    ran = run("explore", *words, *swarm)
    assert (ran.status, ran.out, ran.err.count("\n")) == (3, "", 1)
    assert "No such file" in ran.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[machine]\ncpus = 3000", "3000 CPUs: Xen takes 1 to 256"),
        ("[machine]\nprofile = '9.9'", "no bundled profile is called '9.9'"),
        ("[explore]\nprelude = ['dance']", "no order 'dance'"),
        ("[explore]\nposts = 999", "explore.posts = 999: expected a whole number <= 250"),
        ("nonsense", "Expected"),
    ],
)
def test_a_scenario_that_cannot_be_is_its_files_fault(text, message, run, tmp_path):
    (tmp_path / "mine.toml").write_text(text)
    for words in ([], ["--swarm", "1", "--processes", "1"]):
        ran = run("explore", tmp_path / "mine.toml", *words)
        assert (ran.status, ran.out, ran.err.count("\n")) == (3, "", 1)
        assert message in ran.err


class TestCommand:
    @pytest.mark.thorough
    def test_read(self, run, tmp_path):
        ran = run("explore", "--read", str(COMMITTED), "--html", str(tmp_path / "h"), "--perfetto", str(tmp_path / "p"))
        assert ran.status == 1, "the audit finds a bug"
        out = io.StringIO()
        show(read_history(str(COMMITTED)), out)
        assert ran.out == out.getvalue()
        assert (tmp_path / "h").read_text().startswith("<!DOCTYPE html>")
        assert (tmp_path / "p").read_text().startswith('{"traceEvents"')
        assert run("explore", "--read", str(COMMITTED), "--json").json["property"] == "no stranded interrupt"
        assert "and at which step first" in run("explore", "--read", str(COMMITTED), "--audit-steps").out

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (("--read", "none"), 3, "no history in none: No such file"),
            (("--read", ""), 2, "expected a value, found an empty one"),
            (("--read", __file__), 3, "is no history: no JSON"),
            (("--read", str(COMMITTED), "--html", "/none/x"), 2, "/none/x cannot be written: No such file"),
            (("--read", str(COMMITTED), "--perfetto", "/none/x"), 2, "/none/x cannot be written: No such file"),
        ],
    )
    def test_it_is_one_line_if_it_cannot_be(self, run, words, status, message):
        ran = run("explore", *words)
        assert (ran.status, ran.out) == (status, "")
        assert message in ran.err
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize("option", ["--save", "--html", "--graph", "--perfetto", "--promela"])
def test_what_is_read_is_never_written_over(run, tmp_path, option):
    mine = tmp_path / "mine.toml"
    mine.write_text("no scenario")
    for words in ((str(mine),), ("h-a", "--property", str(mine)), ("--read", str(mine))):
        ran = run("explore", *words, option, str(mine))
        assert (ran.status, mine.read_text()) == (2, "no scenario")
        assert ran.err == f"vtdpi: {mine} is what is being read: expected another file's name\n"


@pytest.mark.parametrize(
    "words",
    [
        ("sim", "--load", "/dev/zero", "info"),
        ("sim", "--scenario", "/dev/zero", "info"),
        ("explore", "/dev/zero"),
        ("explore", "h-a", "--property", "/dev/zero"),
    ],
)
def test_a_device_is_not_read_to_its_end(run, words):
    ran = run(*words)
    assert (ran.status, ran.err.count("\n")) == (3, 1)
    assert "is no saved machine" in ran.err or "it has more than" in ran.err
