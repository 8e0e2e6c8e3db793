"""Procedures and the actors that run them."""

from __future__ import annotations

import pytest

from sim_backend.logic.kinds import CPU_ID, NUMBER
from sim_backend.logic.program import (
    BY_NUMBER,
    DONE,
    FRAME,
    FUNCTIONS,
    PROCEDURES,
    WAIT,
    Actor,
    ActorId,
    ActorKind,
    Procedure,
)


@pytest.fixture
def procedure():
    """A procedure of three steps, which note that they ran; forgotten afterwards."""
    made = Procedure("a test's own", n=NUMBER, cpu=CPU_ID)

    @made.step("begins")
    def begin(w, a, f):
        w.append("begin")
        return WAIT if len(w) < 2 else None

    @made.step("calls itself once")
    def again(w, a, f):
        w.append("again")
        if f[2]:
            a.call(made, 0)
        return finish

    @made.step("is skipped")
    def skipped(w, a, f):
        raise AssertionError

    @made.step("finishes")
    def finish(w, a, f):
        w.append("finish")
        return DONE

    yield made
    del PROCEDURES[made.name]
    BY_NUMBER.pop()
    FUNCTIONS.pop()


def actor():
    return Actor(ActorId(ActorKind.CPU, 0), "CPU 0", 0)


def test_a_run(procedure):
    who, ran = actor(), []
    who.call(procedure, 1)
    assert not who.advance(ran), "it waits"
    while who.stack:
        assert who.advance(ran)
    assert ran == ["begin", "begin", "again", "begin", "again", "finish", "finish"]


def test_steps_have_the_names_of_their_functions(procedure):
    assert [step.name for step in procedure.steps] == ["begin", "again", "skipped", "finish"]
    assert [function.__name__ for function in FUNCTIONS[procedure.number]] == [step.name for step in procedure.steps]


def test_no_step_of_the_machine_is_without_a_name():
    for each in PROCEDURES.values():
        names = [step.name for step in each.steps]
        assert names, each.name
        assert len(names) == len(set(names)), each.name
        assert not any(name.strip("_") == "" for name in names), each.name


def test_variables_that_are_not_set(procedure):
    assert procedure.frame(7) == [procedure.number, 0, 7, -1]
    assert procedure.frame() == [procedure.number, 0, 0, -1]
    with pytest.raises(IndexError):
        procedure.frame(1, 2, 3)


def test_two_of_a_name_are_refused(procedure):
    with pytest.raises(ValueError, match="two procedures"):
        Procedure(procedure.name)
    assert BY_NUMBER[-1] is procedure


def test_a_frame_is_saved_by_name(procedure):
    frame = procedure.frame(7, 1)
    assert FRAME.plain(frame) == ["a test's own", 0, 7, 1]
    assert FRAME.parse(FRAME.plain(frame)) == frame


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ([], "no procedure's frame"),
        (["nobody", 0], "no procedure's frame"),
        (["a test's own", 0, 7], "with 2 numbers"),
        (["a test's own", 9, 7, 1], "no step 9"),
        (["a test's own", -1, 7, 1], "no step -1"),
        (["a test's own", 0, "x", 1], "no whole number"),
    ],
)
def test_what_is_no_frame(procedure, plain, message):
    with pytest.raises(ValueError, match=message):
        FRAME.parse(plain)
