"""A line as a person or a script writes it: a command's words, and where its output goes.

>>> parse("irt --posted | grep 00:03.0")
Line(words=('irt', '--posted'), pipe='grep 00:03.0', file=None, append=False)
>>> parse("pi 0x40 --json > 'a file'  # for the report").file
'a file'
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from inspector.base.errors import UsageError

_PIECE = re.compile(
    r"""\\. | '[^']*' | "(?:\\.|[^"\\])*" | (?P<comment>(?:^|(?<=\s))\#.*) | (?P<redirect>\||>>?) | .""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Line:
    """`words` of the command, none if the line is empty; its output goes to the shell command `pipe`, or to `file`."""

    words: tuple[str, ...]
    pipe: str | None = None
    file: str | None = None
    append: bool = False


def parse(text: str) -> Line:
    """The line, quoted as in a shell; `#` at the start of a word begins a comment.

    Raises:
        UsageError: a quote is not closed, or `|`, `>`, `>>` are not followed by what they need.
    """
    ours, redirect, rest = split(text)
    words = tuple(_words(ours))
    if redirect and not words:
        raise UsageError(f"there is no command before {redirect!r}")
    if redirect == "|":
        if not rest.strip():
            raise UsageError("expected a shell command after '|', such as `| grep posted`")
        return Line(words, pipe=rest.strip())
    if redirect:
        names = _words(split(rest)[0])
        if len(names) != 1:
            raise UsageError(f"expected one file name after {redirect!r}, not {rest.strip()!r}")
        return Line(words, file=names[0], append=redirect == ">>")
    return Line(words)


def split(text: str) -> tuple[str, str, str]:
    """The text before the first `|`, `>` or `>>` that is not quoted, that sign, and what follows; no comments."""
    for piece in _PIECE.finditer(text):
        if piece["comment"] is not None:
            return text[: piece.start()], "", ""
        if piece["redirect"]:
            return text[: piece.start()], piece["redirect"], text[piece.end() :]
    return text, "", ""


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{text.strip()!r}: {str(error).lower()}") from None
