"""What a terminal is: how wide, and whether it is styled and coloured."""

from __future__ import annotations

import os
import re
from typing import IO

from structs.frozen import frozen

BOLD, UNDERLINED, RED, YELLOW, CYAN, PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[1;31m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
COLOURS = {"bug": RED, "warning": YELLOW, "info": CYAN}
"""Of severities; the word is always there too."""
_SEVERITY = re.compile(rf"\b({'|'.join(COLOURS)})\b")


@frozen
class Screen:
    """Where text is shown.

    Attributes:
        width: in columns; None for any.
        styled: whether heads are bold.
        coloured: whether severities are coloured.
        sideways: whether its reader can scroll to what does not fit.
        records: whether a table's rows are records of lines, however wide it is.
    """

    width: int | None = None
    styled: bool = False
    coloured: bool = False
    sideways: bool = False
    records: bool = False

    def bold(self, text: str) -> str:
        """The text, bold."""
        return f"{BOLD}{text}{PLAIN}" if self.styled and text else text

    def title(self, text: str) -> str:
        """The text as a title."""
        return f"{BOLD}{UNDERLINED}{text}{PLAIN}" if self.styled else text

    def severities(self, text: str) -> str:
        """The text with the words for severities in their colours."""
        if not self.coloured:
            return text
        return _SEVERITY.sub(lambda match: f"{COLOURS[match[1]]}{match[1]}{PLAIN}", text)


NOWHERE = Screen()
"""A pipe or a file."""


def screen(out: IO[str]) -> Screen:
    """What `out` is: a terminal, or what is to be taken for one, or nothing of the kind."""
    forced = bool(os.environ.get("FORCE_COLOR"))
    if not out.isatty() and not forced:
        return NOWHERE
    from rich.console import Console

    found = Console(file=out, force_terminal=forced or None)
    styled = found.is_terminal and found.color_system is not None
    width = found.width if out.isatty() else None
    return Screen(width, styled, styled and not found.no_color, getattr(out, "sideways", False))
