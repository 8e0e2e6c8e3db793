"""The prompt itself: a line is read, run, and the target stays as it is until the next."""

from __future__ import annotations

import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.styles import Style

from inspector.base import xdg
from inspector.base.errors import TargetError, UsageError, VtdpiError
from inspector.base.foreign_text import one_line, visible
from inspector.base.signals import ending_within
from inspector.repl import bar, objects
from inspector.repl.colors import LineLexer
from inspector.repl.completer import LineCompleter
from inspector.repl.knowledge import Knowledge
from inspector.repl.plain import confirmed
from inspector.shell.config import path
from inspector.shell.guide import NOBODY, Guide
from inspector.shell.script import Leave, note, run_line
from inspector.shell.settings import Settings
from inspector.targets.target import is_running

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.repl.grammar import Grammar
    from inspector.shell.session import Session

GRAMMAR = "the commands' syntax"
TARGET = "the open target"
PATIENCE = 10
"""Seconds that prompt_toolkit and asyncio have to end: one was seen to wait for ever, its terminal gone."""
HINT: StyleAndTextTuples = [("class:auto-suggestion", "`help` lists the commands, Ctrl-D leaves")]


class Prompt:
    """Reads lines from a terminal and runs them, until Ctrl-D.

    Args:
        session: the target, which is opened if it is not, and what the user has set.
        guide: who looks on.

    Raises:
        TargetError: what is set makes no sense.
    """

    def __init__(self, session: Session, guide: Guide = NOBODY) -> None:
        self._session = session
        session.resumes = True
        session.confirms = confirmed
        session.fits = _style
        self._guide = guide
        self._ready = False
        self._failure: VtdpiError | None = None
        of_look = {kind: objects.known(kind) for kind in objects.KINDS} | bar.READERS
        readers: dict[str, Callable[[], Any]] = {name: partial(self._read, read) for name, read in of_look.items()}
        lasting: dict[str, Callable[[], Any]] = {TARGET: self._open, GRAMMAR: _grammar}
        self._knowledge = Knowledge(session, readers | lasting, lasting, self._changed)
        self._terminal: PromptSession[str] = PromptSession(
            self._message, history=_history(), enable_open_in_editor=True, bottom_toolbar=self._bar
        )
        try:
            self._use(session.settings)
        except UsageError as error:
            raise TargetError(f"{path()}: {error}") from None
        self._terminal.app.after_render += self._shown

    def run(self) -> int:
        """Read and run lines until the end; 0. Raises TargetError if the target cannot be opened."""
        # A key press must not wait long for the thread that reads the target.
        sys.setswitchinterval(0.001)
        try:
            hint: StyleAndTextTuples = HINT
            while True:
                try:
                    self._line(self._ask(hint))
                    hint = []
                    if self._failure:
                        raise self._failure
                except KeyboardInterrupt:
                    continue
        except (EOFError, Leave):
            return 0
        finally:
            self._knowledge.close()

    def _use(self, settings: Settings) -> None:
        """Have the prompt be as the user has set it. Raises UsageError if a colour makes no sense."""
        terminal = self._terminal
        terminal.style = _style(settings)
        terminal.editing_mode = EditingMode.VI if settings.keys == "vi" else EditingMode.EMACS
        terminal.auto_suggest = AutoSuggestFromHistory() if settings.suggestions else None
        terminal.bottom_toolbar = self._bar if settings.bar else None
        terminal.complete_while_typing = settings.completion == "typing"
        terminal.lexer = LineLexer(self._syntax, settings.aliases)
        terminal.completer = LineCompleter(self._syntax, self._knowledge.get, self._is_reading, settings.aliases)
        self._used = settings

    def _is_reading(self, kind: str) -> bool:
        return self._knowledge.is_reading(kind or GRAMMAR)

    def _ask(self, hint: StyleAndTextTuples) -> str:
        """A line that the user types."""
        if self._used is not self._session.settings:
            self._use(self._session.settings)
        with ending_within(PATIENCE, _modes_now()):
            return self._terminal.prompt(placeholder=hint)

    def _line(self, text: str) -> None:
        """Run a line, or several that were pasted, one after the other."""
        for one in text.splitlines():
            self._one(one)

    def _one(self, text: str) -> None:
        with self._knowledge.held():
            if self._guide.takes(text):
                return
            before = self._session.steps
            note(self._session, text)
            try:
                # A guide speaks when the answer is there: a pager would stand before that.
                run_line(self._session, text, paged=self._guide is NOBODY)
            except VtdpiError as error:
                if self._failure:
                    raise
                print(f"vtdpi: {visible(str(error))}", file=sys.stderr)
            except KeyboardInterrupt:
                print(f"vtdpi: interrupted; {self._session.left(before)}", file=sys.stderr)
            self._guide.after(text)

    def _shown(self, app: Application[Any]) -> None:
        # Only once the prompt is there: what is wanted soon is read while the user thinks.
        if not self._ready:
            self._ready = True
            self._knowledge.get(TARGET)
            self._knowledge.get(GRAMMAR)
            app.invalidate()

    def _open(self) -> bool:
        try:
            return bool(self._session.target)
        except VtdpiError as error:
            self._failure = error
            if loop := self._terminal.app.loop:
                loop.call_soon_threadsafe(self._give_up)
            raise

    def _give_up(self) -> None:
        app = self._terminal.app
        if app.is_running and self._failure:
            app.erase_when_done = True
            app.exit(exception=self._failure)

    def _read(self, read: Callable[[Inspection], Any]) -> Any:
        """A fact of the look; None while the machine runs, for then there is nothing to look at."""
        return None if is_running(self._session.opened) else read(self._session.inspection)

    def _syntax(self) -> Grammar | None:
        return self._knowledge.get(GRAMMAR)

    def _message(self) -> StyleAndTextTuples:
        state = " (running)" if is_running(self._session.opened) else ""
        return [("class:prompt", f"{one_line(self._session.name)}{state}> ")]

    def _bar(self) -> str:
        known = {name: self._knowledge.get(name) for name in bar.READERS} if self._ready else {}
        return bar.text(self._session.opened, known, self._knowledge.is_reading())

    def _changed(self) -> None:
        # The event loop may be gone just now, with the line that it read.
        with suppress(RuntimeError):
            self._terminal.app.invalidate()


def _style(settings: Settings) -> Style:
    try:
        return Style(list(settings.colors.items()))
    except ValueError as error:
        raise UsageError(f"colors: {error}") from None


def _grammar() -> Grammar:
    from inspector.repl.grammar import Grammar

    return Grammar()


def _history() -> History:
    try:
        file = xdg.state() / "history"
    except xdg.NoHome as error:
        print(f"note: no history is kept: {error}", file=sys.stderr)
        return InMemoryHistory()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600)
    except OSError as error:
        print(f"note: no history is kept: {visible(str(file))}: {error.strerror}", file=sys.stderr)
        return InMemoryHistory()
    return FileHistory(str(file))


def _modes_now() -> Callable[[], None]:
    """What puts the terminal's modes back to what they are now."""
    try:
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
    except (OSError, ValueError, termios.error):
        return lambda: None

    def put_back() -> None:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, before)

    return put_back
