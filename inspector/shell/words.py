"""The words of a session itself, beside the commands that are asked of its target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from inspector.model.answer import AnyAnswer
from inspector.shell import help, history, opening, set_show

if TYPE_CHECKING:
    from inspector.shell.session import Session

ANSWERING: dict[str, Callable[[Session, Sequence[str]], AnyAnswer]] = {
    "help": lambda session, words: help.answer(words, session.settings.aliases),
    "history": lambda session, words: history.answer(session.lines, words),
    "open": opening.open_,
    "set": set_show.set_,
    "show": set_show.show,
    "unset": set_show.unset,
}
"""Those that answer as commands do: each is given the session, and its words without `--json`."""
