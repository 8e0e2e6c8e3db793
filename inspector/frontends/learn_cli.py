"""`vtdpi learn`: lessons at the prompt, each on a machine of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence, Set

from inspector.base.arguments import argument, flag
from inspector.base.errors import UsageError, VtdpiError
from inspector.frontends.front_end import front_end
from structs.frozen import frozen

NAME = "vtdpi learn"


@frozen
class LearnOptions:
    """Which lesson."""

    lesson: int | None = argument("its number (default: the first that you have not finished)", None, metavar="N")
    list: bool = flag("list the lessons")


def run(options: LearnOptions) -> int:
    """Give lessons until the user leaves; the exit status.

    Raises:
        UsageError: there is no such lesson.
        VtdpiError: its machine cannot be opened.
    """
    from inspector.learn.lesson import lessons
    from inspector.learn.progress import finished

    names = list(lessons())
    if options.list:
        done = finished()
        for number, (name, lesson) in enumerate(lessons().items(), 1):
            print(f"{number:2}  {'done' if name in done else '    '}  {lesson.title}")
        return 0
    number = options.lesson if options.lesson is not None else _first(names, finished())
    if not 1 <= number <= len(names):
        raise UsageError(f"there is no lesson {number}: there are 1 to {len(names)}, which `vtdpi learn --list` lists")
    while True:
        status, wish = _give(number, names[number - 1])
        if wish == "next" and number < len(names):
            number += 1
        elif wish != "again":
            return status


def _first(names: Sequence[str], finished: Set[str]) -> int:
    """The number of the first lesson that is not finished, or of the very first."""
    return next((number for number, name in enumerate(names, 1) if name not in finished), 1)


def _give(number: int, name: str) -> tuple[int, str]:
    """Give one lesson; the exit status, and the word with which it was left."""
    from inspector.learn.lesson import lessons, opened
    from inspector.learn.progress import finish
    from inspector.learn.teacher import Teacher
    from inspector.repl.start import start
    from inspector.shell.opening import Opening
    from inspector.shell.script import run_line
    from inspector.shell.session import Session

    lesson = lessons()[name]

    def note() -> None:
        try:
            finish(name)
        except (VtdpiError, OSError) as error:
            print(f"note: it is not kept that you have finished it: {error}", file=sys.stderr)

    with Session(Opening(lambda: opened(lesson), name=f"lesson {number}", prefix=f"{NAME} ... ")) as session:
        for line in lesson.before:
            session.ask(line.split())
        teacher = Teacher(lesson, session, lambda line: run_line(session, line), note)
        print(f"Lesson {number}: {lesson.title}\n")
        teacher.begin()
        return start(session, teacher), teacher.wish


FRONT_END = front_end(LearnOptions, run)
