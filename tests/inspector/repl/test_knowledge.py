"""What the prompt knows: asking never waits, and what is of the past is forgotten."""

from __future__ import annotations

import threading
import time

import pytest

from inspector.repl.knowledge import Knowledge
from inspector.repl.objects import Objects
from inspector.shell.opening import Opening
from inspector.shell.session import Session
from inspector.targets.open_file import open_file


@pytest.fixture
def session(image):
    with Session(Opening(lambda: open_file(image.path))) as opened:
        assert opened.target
        yield opened


@pytest.fixture
def knows(session):
    made = []

    def make(readers, **options):
        made.append(Knowledge(session, readers, **options))
        return made[-1]

    yield make
    for knowledge in made:
        knowledge.close()


def test_asking_never_waits_for_a_slow_target(knows, eventually):
    slow = threading.Event()
    knowledge = knows({"slow": lambda: slow.wait(60)})
    began = time.monotonic()
    assert knowledge.get("slow") is None
    assert knowledge.is_reading("slow")
    assert knowledge.is_reading()
    assert time.monotonic() - began < 30
    slow.set()
    eventually(lambda: knowledge.get("slow"))
    assert not knowledge.is_reading()


def test_each_fact_is_read_once_a_look_and_again_when_the_machine_has_moved(knows, session, eventually):
    reads = []
    knowledge = knows(
        {"of the look": lambda: reads.append(1) or len(reads), "lasting": lambda: "x"}, lasting=("lasting",)
    )
    for name in ("of the look", "lasting", "of the look"):
        eventually(lambda name=name: knowledge.get(name))
    with knowledge.held():
        pass
    eventually(lambda: knowledge.get("of the look"))
    before = len(reads)
    with knowledge.held():
        pass
    assert knowledge.get("of the look") == before
    with knowledge.held():
        session.target.generation += 1
    assert knowledge.get("lasting") == "x"
    eventually(lambda: knowledge.get("of the look") == before + 1)


def test_nothing_is_read_while_a_command_uses_the_target(knows, eventually):
    reads = []
    knowledge = knows({"fact": lambda: reads.append(1) or "known"})
    with knowledge.held():
        assert knowledge.get("fact") is None
        time.sleep(0.1)
        assert not reads
    eventually(lambda: knowledge.get("fact") == "known")


def test_a_reader_that_fails_ends_nothing_and_is_tried_after_the_next_command(knows, eventually):
    answers = iter([ValueError, "known"])

    def read():
        answer = next(answers)
        if answer is ValueError:
            raise ValueError
        return answer

    knowledge = knows({"fact": read, "other": lambda: "too"})
    knowledge.get("fact")
    eventually(lambda: not knowledge.is_reading("fact"))
    assert knowledge.get("fact") is None
    eventually(lambda: knowledge.get("other") == "too")
    with knowledge.held():
        pass
    eventually(lambda: knowledge.get("fact") == "known")


def test_objects_are_found_by_how_they_begin():
    objects = Objects((f"{number:#06x}", str(number)) for number in range(0x1000))
    assert [name for name, _ in objects.beginning("0x00f")] == [f"0x00f{digit:x}" for digit in range(16)]
    assert list(objects.beginning("0x0fff")) == [("0x0fff", "4095")]
    assert list(objects.beginning("1")) == []
    assert len(list(objects.beginning(""))) == len(objects) == 0x1000
