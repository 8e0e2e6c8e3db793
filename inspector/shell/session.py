"""A session with one target: each command is asked of a look at the machine as it now stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Self

from inspector.base import streams
from inspector.base.closing import Closing
from inspector.base.errors import TargetError
from inspector.base.foreign_text import one_line
from inspector.base.wrapping import wrapped
from inspector.commands.choosing import chosen
from inspector.commands.command import Stream, finish, parse
from inspector.model.absence import lines
from inspector.model.answer import Answer, AnyAnswer, Block, Told
from inspector.targets.target import Control, Held, Target, is_running
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.ahead import Ahead
    from inspector.capture.inspection import Inspection
    from inspector.views.terminal import Screen
    from inspector.xen.xen import Xen


@frozen
class Besides:
    """What there is to say besides an answer, a line each: notes, and what could not be read."""

    notes: Sequence[str]
    problems: Sequence[str]

    @classmethod
    def of(cls, answer: AnyAnswer, notes: Sequence[str] = ()) -> Self:
        """All of it; with other notes than the answer's own."""
        every = dict.fromkeys((*notes, *answer.notes))
        return cls(tuple(every), tuple(dict.fromkeys((*answer.problems, *lines(answer.absent)))))

    def without(self, notes: Set[str], problems: Set[str]) -> Besides:
        """The same but for lines that were told before."""
        return Besides(
            [line for line in self.notes if line not in notes],
            [line for line in self.problems if line not in problems],
        )


NOTHING: AnyAnswer = Answer({}, ())
"""What is left of an answer in parts if nobody reads on: what was shown is all."""
STOOD = "the machine runs: it was stopped for this, and goes on"


class Answered:
    """A command's answer, how it is to be shown, and what there is to say besides.

    An answer that comes in parts is made while it is shown: so first `show`, then `tell` and `status`.

    Args:
        answer: the whole, or its parts.
        json: whether it is shown as JSON.
        besides: what there is to say besides the answer, once it is whole.
        asked: what is around the making of the parts.
        target: what was asked, in words.
        format: how tables are shown; None for as they fit.
    """

    def __init__(
        self,
        answer: AnyAnswer | Stream[Any],
        json: bool,
        besides: Callable[[AnyAnswer], Besides] | None = None,
        asked: Callable[[], AbstractContextManager[None]] = nullcontext,
        format: str | None = None,
        target: str | None = None,
    ) -> None:
        self.json = json
        self._answer = answer
        self._besides = besides or Besides.of
        self._asked = asked
        self._format = format
        self._target = target

    @property
    def in_parts(self) -> bool:
        """Whether the answer is still to come, in parts."""
        return isinstance(self._answer, Generator)

    @property
    def answer(self) -> AnyAnswer:
        """The whole answer."""
        if isinstance(self._answer, Generator):
            with self._asked():
                self._answer = finish(self._answer)
        return self._answer

    @property
    def status(self) -> int:
        """The command's exit status."""
        return self.answer.exit_status

    def show(self, out: IO[str], on: Screen | None = None) -> None:
        """Print the answer; one that comes in parts, each when it comes. `on` is what `out` is, if it cannot tell."""
        if self.json:
            from inspector.views import json

            told = 0

            def tell(block: Block) -> None:
                nonlocal told
                if isinstance(block, Told):
                    json.write(block.document, out, self._target)
                    out.flush()
                    told += 1

            if isinstance(self._answer, Generator):
                parts, self._answer = self._answer, NOTHING
                with self._asked():
                    self._answer = finish(parts, tell)
            if not told:
                json.show(self.answer, out, self._target)
            return
        if self._format not in (None, "table"):
            from inspector.views import formats

            formats.show(self.answer, out, self._format or "", on)
            return
        from inspector.views import text

        if isinstance(self._answer, Generator):
            parts, self._answer = self._answer, NOTHING
            with self._asked():
                self._answer = finish(parts, lambda block: text.part(block, out))
        text.show(self.answer, out, on)

    def tell(self, err: IO[str]) -> None:
        """Print what there is to say besides."""
        besides = self._besides(self.answer)
        width = streams.width(err)
        for line in besides.notes:
            print(wrapped(f"note: {one_line(line)}", width), file=err)
        for line in besides.problems:
            print(wrapped(f"vtdpi: {one_line(line)}", width), file=err)


class Session(Closing):
    """A target, opened when first needed, and the commands that it is asked. A context manager: leaving closes it.

    Attributes:
        name: of the target, short, for a prompt.
        prefix: what stands before a command's name in its help.
        resumes: whether a live machine that runs is stopped for each command, and then goes on; else it is refused.
        lines: those that were run, or begun; not those of files that they source.
        sourced: the files of commands that are being run, one within the other.
        lock: held while the target is asked; take it to read the look from another thread.

    Args:
        look_ahead: what a look at the target before it is opened finds, by the symbols and the profile that are named.
    """

    def __init__(
        self,
        open_target: Callable[[], Target],
        *,
        name: str = "vtdpi",
        prefix: str = "",
        symbols: str | None = None,
        profile: str | None = None,
        json: bool = False,
        look_ahead: Callable[[str | None, str | None], Ahead | None] = lambda symbols, profile: None,
    ) -> None:
        self.name = name
        self.prefix = prefix
        self.json = json
        self.lock = threading.RLock()
        self._open_target = open_target
        self._look_ahead = look_ahead
        self._expected: Xen | None = None
        self._symbols = symbols
        self._profile = profile
        self._target: Target | None = None
        self._inspection: Inspection | None = None
        self._generation = 0
        self.resumes = False
        self.lines: list[str] = []
        self.sourced: list[str] = []
        self._noted: set[str] = set()
        self._lacking: set[str] = set()

    @property
    def target(self) -> Target:
        """The target, opened if it is not. Raises TargetError if it cannot be."""
        with self.lock:
            if self._target is None:
                ahead = self._look_ahead(self._symbols, self._profile)
                self._target = self._open_target()
                if ahead:
                    self._expected = ahead.xen
                    self._target.read_ahead(ahead.blocks)
            return self._target

    @property
    def opened(self) -> Target | None:
        """The target, if it is open."""
        return self._target

    @property
    def inspection(self) -> Inspection:
        """The look at the machine as it stands: a new one if it has run since the last."""
        from inspector.capture.inspection import Inspection

        target = self.target
        if self._inspection is None or self._generation != target.generation:
            self._generation = target.generation
            self._inspection = Inspection(
                target,
                symbols=self._symbols,
                profile=self._profile,
                before=self._inspection,
                expected=self._expected,
            )
        return self._inspection

    def ask(self, words: Sequence[str]) -> Answered:
        """Run one command. What was noted once in this session is not noted again, nor what the whole target lacks.

        Raises:
            VtdpiError: the words are wrong, or the target could not be read.
            SystemExit: help was asked for and printed.
        """
        wanted = parse(words, self.prefix, self.json)
        with self.lock, self._standing(wanted.command.while_running) as stood:
            inspection = self.inspection
            inspection.begin_answer()
            asked = self._asked(inspection.target, wanted.command.while_running)
            with asked():
                answer = wanted.command.run(inspection, wanted.arguments)
                if not isinstance(answer, Generator):
                    answer = chosen(answer, wanted.choosing)
                    if stood:
                        # All of it is read now: afterwards the machine runs on.
                        answer = replace(answer, blocks=list(answer.blocks), notes=(*answer.notes, STOOD))

        def besides(whole: AnyAnswer) -> Besides:
            every = Besides.of(whole, (*inspection.target.warnings, *inspection.notes))
            new = every.without(self._noted, self._lacking)
            self._noted.update(new.notes)
            self._lacking.update(set(lines(inspection.lacking)) & set(new.problems))
            return new

        return Answered(answer, wanted.json, besides, asked, wanted.choosing.format, inspection.target.description)

    @contextmanager
    def _standing(self, while_running: bool) -> Iterator[bool]:
        """Have a live machine stand still meanwhile, if that is wanted and it runs; whether it was stopped for it."""
        target: object = self._target
        if while_running or not self.resumes or not isinstance(target, Control) or not target.running:
            yield False
            return
        target.stop()
        try:
            yield True
        finally:
            target.cont()

    def _asked(self, target: Target, while_running: bool) -> Callable[[], AbstractContextManager[None]]:
        """What is around each part of a command that asks the target."""

        @contextmanager
        def around() -> Iterator[None]:
            with self.lock, self._readable(target, while_running):
                yield
            if target.lost:
                # Each thing that could not be read any more would say so, and none of them matters.
                raise TargetError(target.lost)

        return around

    @staticmethod
    def _readable(target: Target, while_running: bool) -> AbstractContextManager[None]:
        """What a command runs in. Raises TargetError if the target runs, and has to stand still to be read."""
        if while_running or not is_running(target):
            return nullcontext()
        if isinstance(target, Held):
            return target.held()
        raise TargetError(f"{target.description} is running: `stop` it to read it")

    @property
    def steps(self) -> int | None:
        """How many steps the target has done; None if it is no machine that is driven, or not open."""
        return getattr(self._target, "steps", None)

    def left(self, before: int | None) -> str:
        """What became of the target since its steps were `before`, in words for whoever interrupted a command."""
        done = (self.steps or 0) - (before or 0)
        return f"the simulated machine did {done:,} steps" if done else "nothing of the target was changed"

    def close(self) -> None:
        """Leave the target as it was found. Safe to call twice."""
        if self._target is not None:
            self._target.close()
