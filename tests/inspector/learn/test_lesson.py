"""The bundled lessons: typed as they say, every sentence about a machine is true when it is said, and not before."""

from __future__ import annotations

import re
import shlex

import pytest

from inspector.learn.lesson import LESSONS, lessons, opened
from inspector.learn.teacher import holds
from inspector.shell.opening import Opening
from inspector.shell.session import Session

BUNDLED = list(lessons().items())


def test_there_are_ten_in_the_order_of_their_files():
    assert [name[:2] for name in lessons()] == [f"{number:02}" for number in range(1, 11)]
    assert len({lesson.title for lesson in lessons().values()}) == 10


@pytest.mark.parametrize(("name", "lesson"), BUNDLED, ids=[name for name, lesson in BUNDLED])
def test_each_step_is_done_by_its_lines_and_by_no_fewer(name, lesson):
    with Session(Opening(lambda: opened(lesson))) as session:
        for line in lesson.before:
            session.ask(shlex.split(line))
        for step in lesson.steps:
            if not step.look:
                assert not all(holds(session, claim) for claim in step.then), f"{step.say!r} is done already"
            for line in step.type:
                session.ask(shlex.split(line))
            for claim in step.then:
                assert holds(session, claim), claim.say


@pytest.mark.parametrize(("name", "lesson"), BUNDLED, ids=[name for name, lesson in BUNDLED])
def test_whoever_does_what_a_step_says_in_so_many_words_types_its_lines(name, lesson):
    for step in lesson.steps:
        quoted = re.findall(r"`([^`]+)`", step.say)
        assert step.type[0] in quoted or not any(line.split()[0] == step.command for line in quoted), step.say


def test_every_sentence_rests_on_something_and_nothing_lies_about():
    for lesson in lessons().values():
        assert all(claim.holds for step in lesson.steps for claim in step.then)
        assert all(step.type and step.then for step in lesson.steps)
    used = {f"{name}.toml" for name in lessons()} | {lesson.capture for lesson in lessons().values() if lesson.capture}
    assert {path.name for path in LESSONS.iterdir()} == used


def test_the_seven_situations_of_the_first_commit_are_met():
    """Preempted, asleep or blocked; switched out and in; lazily; before VM entry; a spurious notification."""
    spoken = " ".join(
        step.say + " ".join(c.say for c in step.then) for each in lessons().values() for step in each.steps
    )
    for word in ("vmx_pi_switch_from", "vmx_pi_switch_to", "vmx_vcpu_block", "vmx_pi_do_resume", "tasklet", "`sleep"):
        assert word in spoken
