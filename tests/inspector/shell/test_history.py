"""`history`: the lines of this session."""

from __future__ import annotations

import json

import pytest

from inspector.base.errors import UsageError
from inspector.shell import history

IDLE = ("sim", "--scenario", "idle")


def lines(*commands):
    return [word for command in commands for word in ("-c", command)]


def test_all_lines_and_the_last_few():
    said = ["run", "block d1v0", "irt | grep 'a b'"]
    assert history.answer(said, []).blocks[0].text == "1  run\n2  block d1v0\n3  irt | grep 'a b'"
    last = history.answer(said, ["2"])
    assert last.document == {"schema": history.SCHEMA, "first_number": 2, "lines": said[1:]}
    assert history.answer(said, ["9"]).document["lines"] == said


def test_what_is_foreign_in_a_line_does_not_reach_the_terminal():
    assert "\x1b" not in history.answer(["echo \x1b[31m"], []).blocks[0].text


@pytest.mark.parametrize("words", [["x"], ["-1"], ["1", "2"]])
def test_what_is_no_number(words):
    with pytest.raises(UsageError):
        history.answer([], words)


def test_in_a_script_as_typed_with_what_failed_and_not_what_is_sourced(run, tmp_path):
    (tmp_path / "more").write_text("info\n")
    ran = run(
        *IDLE, *lines("run 5; step", f"source {tmp_path}/more", "repeat 2 step", "expect irt .units[#] == 9", "history")
    )
    assert ran.status == 1
    assert ran.out.splitlines()[-5:] == [
        "1  run 5; step",
        f"2  source {tmp_path}/more",
        "3  repeat 2 step",
        "4  expect irt .units[#] == 9",
        "5  history",
    ]


def test_as_json_and_through_a_pipe(run, tmp_path):
    file = tmp_path / "lines"
    ran = run(*IDLE, *lines("run 5", f"history > {file}", "history 1 --json"))
    assert ran.status == 0, ran.err
    assert file.read_text() == f"1  run 5\n2  history > {file}\n"
    answer = json.loads(ran.out.splitlines()[-1])
    assert (answer["first_number"], answer["lines"]) == (3, ["history 1 --json"])
