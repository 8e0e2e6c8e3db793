"""Another target in the same session: which one is open when, and what becomes of the other."""

from __future__ import annotations

import io
import json
import sys

import pytest

from inspector.base.errors import TargetError, UsageError
from inspector.shell.opening import KINDS, Opening, open_
from inspector.shell.session import Session
from inspector.targets.target import Target


class Machine(Target):
    """One that notes when it is opened and closed."""

    def __init__(self, name, log):
        self.description = name
        self.log = log
        log.append(f"{name} opened")

    def read(self, address, size):
        return bytes(size)

    def close(self):
        self.log.append(f"{self.description} closed")


@pytest.fixture
def log():
    return []


@pytest.fixture
def opening(log):
    def made(name, place="", fails=()):
        def target():
            if name in fails:
                raise TargetError(f"{name} refuses")
            return Machine(name, log)

        return Opening(target, name=name, place=place)

    return made


def test_the_other_is_open_before_this_one_is_closed(log, opening):
    with Session(opening("a")) as session:
        assert session.target.description == "a"
        session.switch(opening("b"))
        assert (session.name, session.target.description) == ("b", "b")
        assert log == ["a opened", "b opened", "a closed"]
    assert log[-1] == "b closed"


def test_one_that_was_not_open_yet_is_not_opened_for_it(log, opening):
    with Session(opening("a")) as session:
        session.switch(opening("b"))
    assert log == ["b opened", "b closed"]


def test_what_cannot_be_opened_leaves_this_one_as_it_is(log, opening):
    with Session(opening("a")) as session:
        inspection, target = session.inspection, session.target
        with pytest.raises(TargetError, match="b refuses"):
            session.switch(opening("b", fails=["b"]))
        assert session.target is target
        assert session.inspection is inspection
        assert log == ["a opened"]


def test_where_one_only_can_be_attached_this_one_is_left_first(log, opening):
    with Session(opening("a", place="127.0.0.1:1")) as session:
        session.target  # noqa: B018 - opens it
        session.switch(opening("b", place="127.0.0.1:1"))
        assert log == ["a opened", "a closed", "b opened"]
        session.switch(opening("c", place="127.0.0.1:2"))
        assert log[3:] == ["c opened", "b closed"]


def test_and_is_opened_again_if_the_other_cannot_be(log, opening):
    with Session(opening("a", place="here")) as session:
        session.target  # noqa: B018 - opens it
        with pytest.raises(TargetError, match=r"^b refuses$"):
            session.switch(opening("b", place="here", fails=["b"]))
        assert session.target.description == "a"
        assert log == ["a opened", "a closed", "a opened"]


def test_if_that_fails_too_both_are_told_and_it_is_tried_at_the_next_command(log, opening):
    fails = []
    with Session(opening("a", place="here", fails=fails)) as session:
        session.target  # noqa: B018 - opens it
        fails += ["a", "b"]
        with pytest.raises(TargetError, match=r"^b refuses; nor can the target be opened again: a refuses$"):
            session.switch(opening("b", place="here", fails=fails))
        with pytest.raises(TargetError, match=r"^a refuses$"):
            session.target  # noqa: B018 - opens it
        fails.clear()
        assert session.target.description == "a"
    assert log == ["a opened", "a closed", "a opened", "a closed"]


def test_one_that_is_opened_but_not_read_is_closed_again(log, opening):
    class Ahead:
        xen = None
        blocks = ()

    class Lost(Machine):
        def read_ahead(self, blocks):
            raise TargetError("lost")

    with Session(opening("a")) as session:
        session.target  # noqa: B018 - opens it
        with pytest.raises(TargetError, match="lost"):
            session.switch(Opening(lambda: Lost("b", log), look_ahead=lambda symbols, profile: Ahead()))
        assert session.target.description == "a"
        assert log == ["a opened", "b opened", "b closed"]


def test_a_session_may_stay_with_its_target(opening):
    with Session(opening("a")) as session, pytest.raises(UsageError, match="stays with its target"):
        open_(session, ["sim"])


def test_a_script_reads_two_dumps_and_tells_what_differs(run, golden):
    first, second = golden("lost-wakeup"), golden("lost-wakeup-1s-later")
    direct = run("dump", second, "diff", first, "--json")
    ran = run("dump", first, "-c", f"snapshot before; open dump {second}; diff before --json")
    assert json.loads(ran.out.splitlines()[-1])["changes"] == json.loads(direct.out)["changes"]
    assert ran.status == direct.status
    assert [line.split() for line in ran.out.splitlines()[1:3]] == [
        ["open", "ELF", "core", str(second)],
        ["closed", "ELF", "core", str(first)],
    ]


def test_it_tells_what_is_open_as_json(run, golden):
    (answer,) = run("sim", "--json", "-c", f"open dump {golden('lost-wakeup')}").out.splitlines()
    document = json.loads(answer)
    assert document["schema"] == "vtdpi/open/3"
    assert document["opened"].startswith("ELF core")
    assert document["left"] is None, "it was not opened before"


def test_notes_and_breaks_are_of_their_own_target(run):
    ran = run(
        "sim", "--scenario", "idle", "-c", "break vmx_vcpu_block; open sim one-device; breaks; open sim h-a; undo"
    )
    assert "no breaks" in ran.out
    assert ran.status == 2
    assert "only 0 can be undone" in ran.err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("open", "open what?"),
        ("open nosuch", "open what?"),
        ("open {here}", "`open dump {here}`"),
        ("open dump", "required"),
        ("open dump {here} irt", "'irt' names no target"),
        ("open sim nosuch", "bundled ones are idle"),
        ("open sim idle h-a", "'h-a' names no target"),
        ("open sim --scenarios", "no others"),
        ("open sim --serve 127.0.0.1:0", "no others"),
        ("open live 127.0.0.1:1 -c irt", "no others"),
        ("open dump -", "standard input"),
        ("open live --nix", "--nix"),
    ],
)
def test_what_names_no_target(run, golden, line, says):
    here = golden("lost-wakeup")
    ran = run("sim", "-c", "vcpus", "-c", line.format(here=here))
    assert ran.status in (2, 3)
    assert says.format(here=here) in ran.err
    assert len(ran.err.splitlines()) == 1


def test_after_an_error_the_session_goes_on_with_its_target(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("run 5\nopen dump nosuch\nrun 5\n"))
    ran = run("sim")
    assert ran.status == 3
    assert "nosuch" in ran.err
    assert ran.out.count("5 steps") == 2


def test_every_kind_is_opened(run, golden, data):
    log = data / "field" / "logs" / "c15_faults.log"
    lines = {"sim": "open sim h-a", "dump": f"open dump {golden('lost-wakeup')}", "log": f"open log {log}"}
    assert set(lines) | {"live"} == set(KINDS)
    for line in lines.values():
        assert run("sim", "-c", line, "-c", "info").status == 0
