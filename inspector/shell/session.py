"""A session with one target: each command is asked of a look at the machine as it now stands."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Self

from inspector.base import streams
from inspector.base.arguments import wants_json
from inspector.base.closing import Closing
from inspector.base.errors import TargetError, VtdpiError
from inspector.base.foreign_text import one_line
from inspector.base.wrapping import wrapped
from inspector.commands.choosing import Choosing, chosen, read_names
from inspector.commands.command import Request, Stream, finish, parse
from inspector.model.absence import lines
from inspector.model.answer import Answer, AnyAnswer, Block, Table, Told
from inspector.shell.opening import Opening
from inspector.shell.settings import Settings
from inspector.targets.target import Control, Held, Target, is_running
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model.snapshot import Snapshot
    from inspector.views.terminal import Screen, Wanted
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
        terminal: what the user wants of a terminal.
    """

    def __init__(
        self,
        answer: AnyAnswer | Stream[Any],
        json: bool,
        besides: Callable[[AnyAnswer], Besides] | None = None,
        asked: Callable[[], AbstractContextManager[None]] = nullcontext,
        format: str | None = None,
        target: str | None = None,
        terminal: Wanted | None = None,
    ) -> None:
        self.json = json
        self._terminal = terminal
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

            formats.show(self.answer, out, self._format or "", self._screen(out, on))
            return
        from inspector.views import text

        if isinstance(self._answer, Generator):
            parts, self._answer = self._answer, NOTHING
            with self._asked():
                self._answer = finish(parts, lambda block: text.part(block, out, self._screen(out, on)))
        text.show(self.answer, out, self._screen(out, on))

    def _screen(self, out: IO[str], on: Screen | None) -> Screen:
        """What the answer is shown on."""
        from inspector.views.terminal import AS_IT_IS, screen

        where = on or screen(out, self._terminal or AS_IT_IS)
        file = None if self.in_parts else self.answer.document.get("file")
        return where.with_file(file) if isinstance(file, str) else where

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
        json: whether every answer is JSON.
        resumes: whether a live machine that runs is stopped for each command, and then goes on; else it is refused.
        lines: those that were run, or begun; not those of files that they source.
        sourced: the files of commands that are being run, one within the other.
        lock: held while the target is asked; take it to read the look from another thread.
        settings: what the user has set; `set` changes them.
        fits: called before they change. Raises UsageError if they make no sense where they are used.
        confirms: asks the user whether to go on, for a reason.
        opener: what the words of `open` name; None if the target stays.

    Args:
        opening: how the target is opened.
    """

    def __init__(
        self,
        opening: Opening,
        *,
        json: bool = False,
        opener: Callable[[Sequence[str]], Opening] | None = None,
    ) -> None:
        self.json = json
        self.lock = threading.RLock()
        self.opener = opener
        self._opening = opening
        self._expected: Xen | None = None
        self._target: Target | None = None
        self._steps_at_first = 0
        self._inspection: Inspection | None = None
        self._generation = 0
        self._kept: dict[str, Snapshot] = {}
        self.resumes = False
        self.lines: list[str] = []
        self.sourced: list[str] = []
        self.settings = Settings()
        self.fits: Callable[[Settings], object] = lambda settings: None
        self.confirms: Callable[[str], bool] = lambda why: True
        self._noted: set[str] = set()
        self._lacking: set[str] = set()

    @property
    def name(self) -> str:
        """Of the target, short, for a prompt."""
        return self._opening.name

    @property
    def prefix(self) -> str:
        """What stands before a command's name in its help."""
        return self._opening.prefix

    def set(self, settings: Settings) -> None:
        """Change what the user has set. Raises UsageError if it makes no sense."""
        self.fits(settings)
        self.settings = settings

    @property
    def target(self) -> Target:
        """The target, opened if it is not. Raises TargetError if it cannot be."""
        with self.lock:
            if self._target is None:
                self._take(self._opening, *_opened(self._opening))
                assert self._target
            return self._target

    def switch(self, opening: Opening) -> None:
        """Open another target, and then leave this one as it was found. If that fails, this one stays as it is.

        Where one only can be attached at a time, this one is left first, and opened again if that fails.

        Raises:
            TargetError: it cannot be opened.
        """
        with self.lock:
            before, left = self._opening, self._target
            alone = bool(opening.place) and opening.place == before.place
            if alone and left is not None:
                left.close()
                self._target = self._inspection = None
            try:
                target, expected = _opened(opening)
            except BaseException as error:
                if alone and left is not None:
                    self._open_again(error)
                raise
            self._take(opening, target, expected)
            if left is not None and not alone:
                left.close()

    def _open_again(self, error: BaseException) -> None:
        """After it was left in vain."""
        try:
            self._take(self._opening, *_opened(self._opening))
        except VtdpiError as again:
            raise TargetError(f"{error}; nor can the target be opened again: {again}") from error

    def _take(self, opening: Opening, target: Target, expected: Xen | None) -> None:
        """Have this target, and nothing that was known of another but snapshots."""
        self._opening, self._target, self._expected = opening, target, expected
        self._inspection = None
        self._steps_at_first = self.steps or 0
        self._noted.clear()
        self._lacking.clear()

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
                symbols=self._opening.symbols,
                profile=self._opening.profile,
                before=self._inspection,
                expected=self._expected,
                kept=self._kept,
            )
        return self._inspection

    def ask(self, words: Sequence[str]) -> Answered:
        """Run one command. What was noted once in this session is not noted again, nor what the whole target lacks.

        Raises:
            VtdpiError: the words are wrong, or the target could not be read.
            SystemExit: help was asked for and printed.
        """
        wanted = parse(words, self.prefix, self.json or self.settings.format == "json")
        with self.lock, self._standing(wanted.command.while_running) as stood:
            inspection = self.inspection
            inspection.begin_answer()
            asked = self._asked(inspection.target, wanted.command.while_running)
            with asked():
                answer = wanted.command.run(inspection, wanted.arguments)
                if not isinstance(answer, Generator):
                    answer = chosen(answer, self._choosing(wanted))
                    if stood:
                        # All of it is read now: afterwards the machine runs on.
                        answer = replace(answer, blocks=list(answer.blocks), notes=(*answer.notes, STOOD))

        def besides(whole: AnyAnswer) -> Besides:
            every = Besides.of(whole, (*inspection.target.warnings, *inspection.notes))
            new = every.without(self._noted, self._lacking)
            self._noted.update(new.notes)
            self._lacking.update(set(lines(inspection.lacking)) & set(new.problems))
            return new

        return Answered(
            answer,
            wanted.json,
            besides,
            asked,
            wanted.choosing.format or self._format(wanted, answer),
            inspection.target.description,
            self.settings.terminal,
        )

    def _choosing(self, wanted: Request) -> Choosing:
        """What the line chooses, or else the columns that are set for its command."""
        set_ = self.settings.columns.get(wanted.command.name)
        if not set_ or wanted.choosing.columns:
            return wanted.choosing
        return replace(wanted.choosing, columns=read_names(set_))

    def _format(self, wanted: Request, answer: AnyAnswer | Stream[Any]) -> str | None:
        """How tables are shown by what is set, if this answer has any."""
        if self.settings.format in ("table", "json") or isinstance(answer, Generator) or not wanted.command.chooses:
            return None
        return self.settings.format if any(isinstance(block, Table) for block in answer.blocks) else None

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
    def moved(self) -> int:
        """How many steps the target has done since it was opened."""
        return (self.steps or 0) - self._steps_at_first

    def show_error(self, error: VtdpiError, words: Sequence[str], out: IO[str]) -> None:
        """Print why a command has no answer as a document, if JSON is wanted of it, and it is not printed yet."""
        if error.shown or not (self.json or self.settings.format == "json" or wants_json(words)):
            return
        from inspector.views import json

        json.show_error(error, out, self._target.description if self._target else None)
        out.flush()
        error.shown = True

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


def _opened(opening: Opening) -> tuple[Target, Xen | None]:
    """The target, open, and its Xen as a look before that found it. Raises TargetError."""
    ahead = opening.look_ahead(opening.symbols, opening.profile)
    target = opening.target()
    if ahead is None:
        return target, None
    try:
        target.read_ahead(ahead.blocks)
    except BaseException:
        target.close()
        raise
    return target, ahead.xen
