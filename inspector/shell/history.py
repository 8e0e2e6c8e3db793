"""The lines of a session, told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from inspector.base.arguments import BadWord, read_number
from inspector.base.errors import UsageError
from inspector.base.foreign_text import one_line
from inspector.model.answer import Answer, AnyAnswer, Text
from inspector.model.schema_name import schema_name

if TYPE_CHECKING:
    from inspector.model.documents import Lines

SCHEMA = schema_name("lines")


def answer(lines: Sequence[str], words: Sequence[str]) -> AnyAnswer:
    """The lines, numbered from 1, or the last few of them.

    Args:
        lines: the first first.
        words: how many, if anything.

    Raises:
        UsageError: they are no number.
    """
    if len(words) > 1:
        raise UsageError("expected how many lines, or nothing: history 20")
    try:
        first = max(len(lines) - read_number(words[0]), 0) if words else 0
    except BadWord as error:
        raise UsageError(f"history: {error}") from None
    width = len(str(len(lines)))
    told = [f"{number:{width}}  {one_line(line)}" for number, line in enumerate(lines[first:], first + 1)]
    document: Lines = {"first_number": first + 1, "lines": list(lines[first:])}
    whole: AnyAnswer = Answer(document, [Text("\n".join(told))])
    return whole.named(SCHEMA)
