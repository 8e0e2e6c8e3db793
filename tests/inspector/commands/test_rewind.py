"""`undo` and `goto`, as a user types them."""

from __future__ import annotations

import json

import pytest

IDLE = ("sim", "--scenario", "idle")


def lines(*commands):
    return [word for command in commands for word in ("-c", command)]


def test_undo_takes_back_an_order_with_all_that_it_did(run):
    ran = run(*IDLE, *lines("run", "block d1v0", "undo", "expect vcpus .vcpus[name=d1v0].pi.nv == 0xf2"))
    assert ran.status == 0, ran.err
    assert "undone: the guest halts d1v0\nat step 64\n" in ran.out


def test_undo_of_several(run):
    ran = run(*IDLE, *lines("run", "block d1v0", "post d1v0 0x41", "undo 2 --json"))
    answer = json.loads(ran.out[ran.out.index('{"schema') :])
    assert answer["undone"] == ["software posts vector 0x41 to d1v0", "the guest halts d1v0"]
    assert answer["step"] == 64


def test_a_trace_is_undone(run):
    ran = run("sim", *lines("run 100", "trace --count 1", "undo"))
    assert ran.status == 0, ran.err
    assert ran.out.endswith("undone: trace\nat step 100\n")


def test_goto_back_and_the_same_comes_again(run):
    ran = run("sim", *lines("run 1000", "step 3", "goto 1000", "step 3"))
    assert ran.status == 0, ran.err
    first, again = ran.out.removeprefix("1000 steps\n").split("at step 1000\n")
    assert first == again
    assert first.count("\n") == 3


def test_goto_forward(run):
    assert run("sim", "goto", "50", "--json").json["step"] == 50
    ran = run(*IDLE, "goto", "500")
    assert ran.status == 3
    assert "the simulated machine is at step 64, and nothing more can happen unless it is asked for" in ran.err


def test_a_machine_that_began_later_knows_nothing_older(run):
    ran = run("sim", "--steps", "20", "goto", "3")
    assert ran.status == 2
    assert "goto 3: the first step that can be gone back to is 20" in ran.err


@pytest.mark.parametrize(("line", "said"), [("undo", "only 0 can be undone"), ("undo x", "is no number")])
def test_what_cannot_be(run, line, said):
    ran = run(*IDLE, *line.split())
    assert ran.status == 2
    assert said in ran.err


def test_a_dump_has_no_past(run, image):
    ran = run("dump", image.path, "undo")
    assert ran.status == 3
    assert "only `vtdpi sim`" in ran.err
