"""A lesson as it is taken, line by line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from inspector.learn import teacher
from inspector.learn.lesson import Claim, Lesson, Step, lessons, opened
from inspector.learn.page import page
from inspector.learn.teacher import Teacher, holds
from inspector.shell.opening import Opening
from inspector.shell.script import Leave
from inspector.shell.session import Session


class Pupil:
    """Types lines, and keeps what the teacher says."""

    def __init__(self, lesson: Lesson, session: Session) -> None:
        self.said: list[str] = []
        self.finished = 0
        self.ran: list[str] = []
        self._session = session
        self.teacher = Teacher(lesson, session, self._run, self._finished, self.said.append)
        self.teacher.begin()

    def _run(self, line: str) -> None:
        self.ran.append(line)
        self._session.ask(shlex.split(line))

    def _finished(self) -> None:
        self.finished += 1

    def type(self, line: str) -> str:
        """What is said because of a line."""
        self.said.clear()
        if not self.teacher.takes(line):
            if line:
                self._run(line)
            self.teacher.after(line)
        return "\n".join(self.said)


@pytest.fixture
def pupil() -> Iterator[Pupil]:
    lesson = lessons()["01-a-post"]
    with Session(Opening(lambda: opened(lesson))) as session:
        session.ask(["run", "300"])
        yield Pupil(lesson, session)


def test_a_step_to_look_waits_for_its_command(pupil: Pupil) -> None:
    assert "[1/5]" in "\n".join(pupil.said)
    assert pupil.type("irt") == ""
    said = pupil.type("vcpus d1v0")
    assert "* d1v0 (domain 1, vCPU 0) executes its guest" in said
    assert "[2/5]" in said


def test_any_line_that_brings_the_machine_there_will_do(pupil: Pupil) -> None:
    pupil.type("vcpus")
    pupil.type("irt --posted")
    pupil.type("post 00:03.0 0 --later")
    assert pupil.type("step") == ""
    assert "[4/5]" in pupil.type("step")


def test_what_leads_nowhere_is_met_with_a_word_about_the_hint(pupil: Pupil) -> None:
    said = [pupil.type("irt") for _ in range(2 * teacher.REMIND_AFTER)]
    assert [bool(text) for text in said] == [False, False, True] * 2
    assert "`hint` tells how" in said[2]
    assert pupil.type("hint") == "Type: `vcpus`"
    assert pupil.type("") == ""


def test_it_can_be_skipped_through_to_its_end_which_is_noted_once(pupil: Pupil) -> None:
    for _ in range(5):
        assert pupil.finished == 0
        pupil.type("skip")
    assert pupil.ran == [line for step in lessons()["01-a-post"].steps for line in step.type]
    assert pupil.finished == 1
    assert "This lesson is done" in pupil.type("skip")
    assert "This lesson is done" in pupil.type("hint")
    assert pupil.type("vcpus") == ""
    assert pupil.finished == 1


def test_a_machine_that_has_gone_past_the_step_cannot_be_skipped(pupil: Pupil) -> None:
    for _ in range(2):
        pupil.type("skip")
    pupil.type("deassign 00:03.0")
    pupil._run = lambda line: None  # type: ignore[method-assign]
    pupil.teacher.run = pupil._run
    assert "`again` begins the lesson anew" in pupil.type("skip")


@pytest.mark.parametrize("word", ["again", "next"])
def test_it_is_left_by_a_wish(pupil: Pupil, word: str) -> None:
    with pytest.raises(Leave):
        pupil.type(f" {word} ")
    assert pupil.teacher.wish == word


def test_what_cannot_be_read_is_not_true() -> None:
    lesson = Lesson(title="", steps=(), end="")
    with Session(Opening(lambda: opened(lesson))) as session:
        assert not holds(session, Claim(say="", holds=("vcpus .vcpus[vcpu=77].vcpu == 77",)))
        assert not holds(session, Claim(say="", holds=("nonsense",)))
        assert holds(session, Claim(say="", holds=("info .xen.posted_intr_vector == 0xf2",)))


def test_lines_fit_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = teacher.wrapped("* " + "some words of no great length " * 5)
    assert max(map(len, text.splitlines())) <= 40
    assert all(line.startswith("  ") for line in text.splitlines()[1:])


def test_a_step_s_command_is_that_of_its_last_line() -> None:
    assert Step(say="", type=("post d1v0 0x41 --later", "step 2"), then=()).command == "step"


def test_what_has_to_be_known_before_is_said_first():
    lesson = next(iter(lessons().values()))
    said = []
    with Session(Opening(lambda: opened(lesson))) as session:
        Teacher(lesson, session, lambda line: None, say=said.append).begin()
    assert said[0] == lesson.about
    assert lesson.about in page(1, lesson)
