"""Lines that are longer than a terminal is wide, broken between words only: an address that is cut cannot be copied."""

from __future__ import annotations

INDENT = "  "
"""Of what follows a line's first piece."""


def wrapped(text: str, width: int | None) -> str:
    r"""The text with its lines broken to a width where they have spaces; a longer word stays whole.

    >>> print(wrapped("D5 bug: d1v0's descriptor at 0x7fff0f40 has ON=1", 24))
    D5 bug: d1v0's
      descriptor at
      0x7fff0f40 has ON=1
    """
    if width is None or all(len(line) <= width for line in text.split("\n")):
        return text
    return "\n".join(piece for line in text.split("\n") for piece in pieces(line, width, INDENT))


def pieces(line: str, width: int, indent: str = "") -> list[str]:
    """One line as several; the later ones have the line's own indentation, and `indent` more."""
    if len(line) <= width:
        return [line]
    from textwrap import TextWrapper

    own = line[: len(line) - len(line.lstrip())]
    wrapper = TextWrapper(
        *(width, own, own + indent),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        expand_tabs=False,
    )
    return wrapper.wrap(line.lstrip()) or [""]
