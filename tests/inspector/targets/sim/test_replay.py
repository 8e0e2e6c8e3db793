"""A history, replayed: every command at any of its steps, on along it, and away from it."""

from __future__ import annotations

import json

import pytest

from sim_backend.logic.versions import CURRENT
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History, started
from sim_backend.machine.machine import Machine
from sim_backend.scenario.scenario import load


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """d1v0 halts and its device posts: 1 order, steps, 1 order, steps until all is quiet."""
    machine = started(load("idle"), CURRENT)
    moves = []
    for order in (Move(order="block", arguments=("d1v0",)), Move(order="post", arguments=("00:03.0", 0))):
        machine.perform(order)
        moves.append(order)
        while machine.step() is not None:
            moves.append(Move(turn=machine.moving.name))
    path = tmp_path_factory.mktemp("replay") / "history.json"
    History(load("idle"), CURRENT, tuple(moves), "an example", "because").write(path)
    return path


@pytest.fixture
def vtdpi(run):
    def said(*words):
        ran = run(*map(str, words))
        return ran.status, ran.out, ran.err

    return said


def situation(vtdpi, *words):
    status, out, _ = vtdpi("sim", "--replay", *words, "--json", "vcpus", "d1v0")
    assert status == 0
    return json.loads(out)["vcpus"][0]["situation"]


def test_every_command_works_at_any_step(vtdpi, path):
    steps = len(History.read(path).moves)
    assert situation(vtdpi, path, "--at", 0) == "S1"
    assert situation(vtdpi, path, "--at", 3) == "S7"
    post = next(step for step, move in enumerate(History.read(path).moves) if move.order == "post")
    assert situation(vtdpi, path, "--at", post) == "S9"
    assert situation(vtdpi, path, "--at", steps) == situation(vtdpi, path) == "S1"
    for command in ("info", "audit", "blocked", "irt", "queue", "route 00:03.0", "trace --count 2"):
        status, out, err = vtdpi("sim", "--replay", path, "--at", 20, *command.split())
        assert (status, err) == (0, "")
        assert out


def test_step_goes_on_along_the_history_and_says_so(vtdpi, path):
    history = History.read(path)
    steps = len(history.moves)
    told = [str(event) for _, event in history.replay()]
    for count in (1, 3, steps):
        _, out, _ = vtdpi("sim", "--replay", path, "--at", 2, "step", count)
        lines = [f"{number}/{steps} {line}" for number, line in enumerate(told, 1)]
        wanted = lines[2 : 2 + count]
        if count == steps:
            wanted.append("(the history ends here; what comes now is chance)")
        assert out.splitlines() == wanted
    _, out, _ = vtdpi("sim", "--replay", path, "--at", 2, "--json", "step", 2)
    assert [event["history_step"] for event in json.loads(out)["events"]] == [3, 4]


def test_run_and_trace_go_along_it_too(vtdpi, path):
    steps = len(History.read(path).moves)
    _, out, _ = vtdpi("sim", "--replay", path, "--at", 0, "-c", f"run {steps}", "-c", "vcpus d1v0", "-c", "run")
    assert out.startswith(f"{steps} steps\n")
    assert "S1 running in the guest" in out
    assert out.endswith("0 steps, then nothing more could happen\n")
    traces = {tuple(vtdpi("sim", "--replay", path, "--at", 0, "trace", "--count", 20)) for _ in range(2)}
    ((_, out, _),) = traces
    assert "pir none -> 0x30, on 0 -> 1" in out


def test_an_order_leaves_it(vtdpi, path):
    words = ("-c", "sleep d1v1 --later", "-c", "info", "-c", "step")
    status, out, _ = vtdpi("sim", "--replay", path, "--at", 5, *words)
    assert status == 0
    steps = len(History.read(path).moves)
    assert f"step 5/{steps} of history.json, left there" in out
    assert f"/{steps} " not in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--replay", "FILE", "--at", "999"), "--at 999: there is no step 999 in this history: it has"),
        (("--replay", "FILE", "--at", "-1"), "--at -1: there is no step -1"),
        (("--replay", "FILE", "--scenario", "idle"), "--scenario stands beside --replay"),
        (("--replay", "FILE", "--load", "x"), "--load stands beside --replay"),
        (("--replay", "FILE", "--steps", "3"), "--steps stands beside --replay"),
        (("--at", "3"), "--at 3: it is a step of a history"),
    ],
)
def test_words_that_make_no_sense(vtdpi, path, words, message):
    status, out, err = vtdpi("sim", *(path if word == "FILE" else word for word in words), "info")
    assert (status, out) == (2, "")
    assert err.startswith(f"vtdpi: {message}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["none.json", "/dev/zero"])
def test_a_file_that_holds_none(vtdpi, name):
    status, out, err = vtdpi("sim", "--replay", name, "info")
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert err.startswith((f"vtdpi: no history in {name}: No such file", "vtdpi: /dev/zero is no history"))


def test_a_history_that_cannot_be_done_is_told_at_once(vtdpi, path, tmp_path):
    whole = json.loads(path.read_text())
    whole["moves"][30] = {"turn": "device 00:03.0"}
    (tmp_path / "it.json").write_text(json.dumps(whole))
    status, _, err = vtdpi("sim", "--replay", tmp_path / "it.json", "--at", 1, "info")
    assert (status, err) == (
        3,
        "vtdpi: step 31 of the history, device 00:03.0: device 00:03.0 cannot do anything now\n",
    )


def test_a_machine_in_an_impossible_state_is_one_line(vtdpi, tmp_path):
    machine = Machine(load("one-device"), seed=4)
    machine.run(500)
    machine.state.areas.clear()
    machine.save(tmp_path / "machine")
    for words in (("step", "5000"), ("run", "5000")):
        status, _, err = vtdpi("sim", "--load", tmp_path / "machine", *words)
        assert (status, err.count("\n")) == (3, 1), words
        assert "a state that none gets into" in err
    status, _, err = vtdpi("sim", "--load", tmp_path / "machine", "--steps", "5000", "info")
    assert (status, err.count("\n")) == (3, 1)
    _, out, _ = vtdpi("sim", "--load", tmp_path / "machine", "trace", "--count", "5000")
    assert "a state that none gets into" in out.splitlines()[-1]


def test_goto_is_the_historys_step_and_comes_back_to_it(vtdpi, path):
    steps = len(History.read(path).moves)
    words = (
        "-c",
        "step",
        "-c",
        "goto 2",
        "-c",
        "step",
        "-c",
        "block d1v1",
        "-c",
        "goto 3",
        "-c",
        "step",
        "-c",
        "undo 3",
    )
    status, out, _ = vtdpi("sim", "--replay", path, "--at", 2, *words, "-c", "info")
    assert status == 0
    first, again = out.split("at step 2 of the history\n")
    assert again.startswith(first)
    assert f"at step 3 of the history\n4/{steps} " in out
    assert "undone: step 1\nundone: goto 3\nundone: the guest halts d1v1\n" in out
    assert f"step 3/{steps} of" in out
    assert "left there" not in out
    status, _, err = vtdpi("sim", "--replay", path, "goto", steps + 1)
    assert status == 2
    assert f"history.json has {steps} steps" in err


def test_stops_and_places_are_steps_of_the_history_while_it_is_on_it(vtdpi, path):
    steps = len(History.read(path).moves)
    words = ("-c", "run until vcpus .vcpus[name=d1v0].pi.on == 1", "-c", "undo", "-c", "goto 70", "-c", "undo")
    status, out, _ = vtdpi("sim", "--replay", path, "--at", 0, *words)
    assert status == 0
    stopped = int(out.split(" steps; stopped at step ")[0])
    assert f"stopped at step {stopped} of the history: " in out
    assert out.endswith("at step 70 of the history\nundone: goto 70\nat step 0 of the history\n")
    _, out, _ = vtdpi("sim", "--replay", path, "--at", stopped, "--json", "vcpus", "d1v0")
    assert json.loads(out)["vcpus"][0]["pi"]["on"] == 1
    _, out, _ = vtdpi("sim", "--replay", path, "--at", 3, "--json", "goto", 5)
    assert json.loads(out)["history_step"] == 5
    _, out, _ = vtdpi("sim", "--replay", path, "goto", steps)
    assert out.startswith(f"at step {steps} of the history")
