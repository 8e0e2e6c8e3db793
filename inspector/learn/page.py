"""A lesson as a page to read: the same steps, with what the machine answers when they are typed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout

from inspector.learn.lesson import Lesson, opened
from inspector.shell.opening import Opening
from inspector.shell.script import run_line
from inspector.shell.session import Session

LONGEST = 24
"""Lines of an answer that are shown; the middle of a longer one is left out, and so it says."""


def page(number: int, lesson: Lesson) -> str:
    """The page in Markdown, made by taking the lesson. Raises VtdpiError if a line of it fails."""
    parts = [f"# {number}. {lesson.title}\n", f"`vtdpi learn {number}` gives this lesson at the prompt.\n"]
    if lesson.about:
        parts.append(f"{lesson.about}\n")
    with Session(Opening(lambda: opened(lesson), name=f"lesson {number}")) as session:
        for line in lesson.before:
            session.ask(line.split())
        for at, step in enumerate(lesson.steps, 1):
            parts.append(f"{at}. {step.say}\n")
            parts += [_typed(session, f"lesson {number}", line) for line in step.type]
            parts += [f"   * {claim.say}\n" for claim in step.then]
    return "\n".join([*parts, lesson.end, ""])


def _typed(session: Session, prompt: str, line: str) -> str:
    """A line with its answer, as a block below a numbered step."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        run_line(session, line)
    shown = [f"{prompt}> {line}", *_shortened(out.getvalue().rstrip().splitlines())]
    return "\n".join(["   ```text", *(f"   {text}".rstrip() for text in shown), "   ```", ""])


def _shortened(lines: list[str]) -> Iterator[str]:
    if len(lines) <= LONGEST:
        yield from lines
        return
    half = LONGEST // 2
    yield from lines[:half]
    yield f"... ({len(lines) - 2 * half} more lines)"
    yield from lines[-half:]
