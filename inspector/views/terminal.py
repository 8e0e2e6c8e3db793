"""What a terminal is: how wide, and whether it is styled and coloured."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.views.links import Links

BOLD, UNDERLINED, RED, YELLOW, CYAN, PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[1;31m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
COLOURS = {"bug": RED, "warning": YELLOW, "info": CYAN}
"""Of severities; the word is always there too."""
_SEVERITY = re.compile(rf"\b({'|'.join(COLOURS)})\b")


@frozen
class Wanted:
    """What the user wants of a terminal.

    Attributes:
        width: in columns; None for as it is, 0 for any.
        color, links: `auto`, `always` or `never`.
        manual: where links to the manual lead; empty for the one that was built here.
    """

    width: int | None = None
    color: str = "auto"
    links: str = "auto"
    manual: str = ""


AS_IT_IS = Wanted()


@frozen
class Screen:
    """Where text is shown.

    Attributes:
        width: in columns; None for any.
        styled: whether heads are bold.
        coloured: whether severities are coloured.
        sideways: whether its reader can scroll to what does not fit.
        records: whether a table's rows are records of lines, however wide it is.
        links: what leads where; None if there are no links.
    """

    width: int | None = None
    styled: bool = False
    coloured: bool = False
    sideways: bool = False
    records: bool = False
    links: Links | None = None

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

    def told(self, text: str, severities: bool) -> str:
        """The text with its names as links, and if so wanted with severities in their colours."""
        text = self.severities(text) if severities else text
        return self.links.in_text(text) if self.links else text

    def with_file(self, name: str) -> Screen:
        """The same, on which the name of a file is a link to it."""
        if self.links is None:
            return self
        from inspector.views.links import of_file

        return replace(self, links=replace(self.links, files={name: of_file(name)}))


NOWHERE = Screen()
"""A pipe or a file."""


def screen(out: IO[str], wanted: Wanted = AS_IT_IS) -> Screen:
    """What `out` is: a terminal, or what is to be taken for one, or nothing of the kind."""
    terminal = out.isatty()
    paged = getattr(out, "sideways", None)
    # Not every pager has links.
    links = None if paged is not None else _links(terminal, wanted)
    always, never = wanted.color == "always", wanted.color == "never"
    forced = always or (not never and bool(os.environ.get("FORCE_COLOR")))
    if not terminal and not forced:
        return Screen(links=links) if links else NOWHERE
    from rich.console import Console

    found = Console(file=out, force_terminal=forced or None)
    styled = not never and (always or (found.is_terminal and found.color_system is not None))
    width = (found.width if wanted.width is None else wanted.width or None) if terminal else None
    return Screen(width, styled, styled and (always or not found.no_color), bool(paged), links=links)


def _links(terminal: bool, wanted: Wanted) -> Links | None:
    # Most are shown nowhere: then nothing is loaded for them.
    if wanted.links == "never" or (wanted.links == "auto" and not terminal and not os.environ.get("FORCE_HYPERLINK")):
        return None
    from inspector.views import links

    shown = wanted.links == "always" or links.are_shown(terminal, os.environ)
    return links.Links(links.manual(wanted.manual)) if shown else None
