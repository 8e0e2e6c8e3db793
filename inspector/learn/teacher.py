"""One lesson as it is taken: what was typed is looked at, and what comes next is said."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from shutil import get_terminal_size

from inspector.base.errors import VtdpiError
from inspector.learn.lesson import Claim, Lesson, Step
from inspector.shell.script import Leave
from inspector.shell.session import Session

WIDEST = 100
REMIND_AFTER = 3
"""Lines that led nowhere, after which it is said that there is a hint."""
WORDS = {
    "hint": "the lines that do this step",
    "skip": "have them typed for you",
    "again": "begin this lesson anew",
    "next": "go to the next lesson",
}
"""What may be typed beside commands."""


def holds(session: Session, claim: Claim) -> bool:
    """Whether a sentence is true of the machine as it stands. It is not if what it speaks of cannot be read."""
    try:
        for line in claim.holds:
            session.ask(["expect", *shlex.split(line)])
    except VtdpiError:
        return False
    return True


@dataclass
class Teacher:
    """A `inspector.shell.guide.Guide` through one lesson.

    Args:
        lesson: the lesson.
        session: its machine, at the beginning.
        run: runs a line as if it had been typed.
        finished: called when the last step is done.
        say: prints a paragraph, or an empty line.

    Attributes:
        wish: the word of WORDS by which the session was left, if by one.
    """

    lesson: Lesson
    session: Session
    run: Callable[[str], object]
    finished: Callable[[], None] = lambda: None
    say: Callable[[str], None] = field(default=lambda text: print(wrapped(text), flush=True))
    at: int = 0
    wish: str = ""
    _in_vain: int = field(default=0, init=False)

    @property
    def step(self) -> Step | None:
        """The step to be done; None if the lesson is done."""
        return self.lesson.steps[self.at] if self.at < len(self.lesson.steps) else None

    def begin(self) -> None:
        """Say what the lesson is about, and the first step."""
        if self.lesson.about:
            self.say(self.lesson.about)
            self.say("")
        self.say("Beside all commands: " + "; ".join(f"`{word}`: {what}" for word, what in WORDS.items()) + ".")
        self.say("")
        self._ask()

    def takes(self, text: str) -> bool:
        """Do what a line asks of the teacher; False if it is for the machine."""
        match text.strip():
            case "again" | "next" as wish:
                self.wish = wish
                raise Leave
            case "hint" | "skip" if self.step is None:
                self.say("This lesson is done: `next` goes on.")
            case "hint" if self.step:
                self.say("Type: " + ", then: ".join(f"`{line}`" for line in self.step.type))
            case "skip" if self.step:
                self._skip(self.step)
            case _:
                return False
        return True

    def _skip(self, step: Step) -> None:
        for line in step.type:
            self.say(f"> {line}")
            self.run(line)
            self.after(line)
        if self.step is step:
            self.say("The machine is not where this step begins: `again` begins the lesson anew.")

    def after(self, text: str) -> None:
        """Look at the machine after a line, and say what comes next if the step is done."""
        words = text.split()
        if not words or self.step is None:
            return
        if not self._is_done(self.step, words[0]):
            self._in_vain += 1
            if self._in_vain % REMIND_AFTER == 0:
                self.say(f"(step {self.at + 1} is not done yet: `hint` tells how; `again` begins the lesson anew)")
            return
        self._in_vain = 0
        self.say("")
        for claim in self.step.then:
            self.say(f"* {claim.say}")
        self.at += 1
        self.say("")
        self._ask()

    def _is_done(self, step: Step, command: str) -> bool:
        return (not step.look or command == step.command) and all(holds(self.session, each) for each in step.then)

    def _ask(self) -> None:
        if self.step:
            self.say(f"[{self.at + 1}/{len(self.lesson.steps)}] {self.step.say}")
        else:
            self.finished()
            self.say(f"Done. {self.lesson.end}")
            self.say("`next` goes on to the next lesson; or try what you like on this machine.")


def wrapped(text: str) -> str:
    """A paragraph in lines that fit the terminal."""
    width = min(get_terminal_size().columns, WIDEST)
    indent = "  " if text.startswith("* ") else ""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
