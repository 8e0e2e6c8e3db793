"""What is expected of a command's answer: its JSON, a path in it, a sign and a value; as `expect` and `run` take it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self, cast

from inspector.base.errors import UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Request, parse
from inspector.commands.json_path import at
from inspector.model.answer import AnyAnswer
from structs.frozen import frozen

Sign = Literal["==", "!=", "<", "<=", ">", ">=", "in", "=~"]
SIGNS: Mapping[Sign, Callable[[object, object], bool]] = {
    "==": lambda found, expected: _same(found, expected),
    "!=": lambda found, expected: not _same(found, expected),
    "<": lambda found, expected: _number(found) < _number(expected),
    "<=": lambda found, expected: _number(found) <= _number(expected),
    ">": lambda found, expected: _number(found) > _number(expected),
    ">=": lambda found, expected: _number(found) >= _number(expected),
    "in": lambda found, expected: any(_same(found, each) for each in _choices(expected)),
    "=~": lambda found, expected: bool(re.search(str(expected), found if isinstance(found, str) else as_json(found))),
}
"""What may stand between path and value, and whether what was found is so."""

HOW = f"SIGN is {', '.join(SIGNS)}"


@frozen
class Condition:
    """A condition.

    Attributes:
        words: the command's.
        request: the same, parsed.
        path: where in its JSON.
        sign: of SIGNS.
        expected: what stands after it.
    """

    words: tuple[str, ...]
    request: Request
    path: str
    sign: Sign
    expected: object

    @classmethod
    def of(cls, said: Sequence[str], form: str) -> Self:
        """The condition in a line's words: COMMAND [OPTIONS] PATH SIGN VALUE.

        Args:
            said: these words.
            form: what to say that is expected, if they are none.

        Raises:
            UsageError: they are none.
        """
        if len(said) < 4 or said[-2] not in SIGNS or said[0] == "expect":
            raise UsageError(form)
        *words, path, word, value = said
        sign = cast(Sign, word)
        request = parse(words)
        expected = value if sign == "=~" else _value(value)
        _check(sign, expected)
        return cls(tuple(words), request, path, sign, expected)

    @property
    def name(self) -> str:
        """The place that it is about."""
        return f"{self.path} of `{' '.join(self.words)}`"

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {as_json(self.expected)}"

    def look(self, inspection: Inspection) -> tuple[AnyAnswer, Any]:
        """The command's answer, and what its JSON has at the path.

        Raises:
            PathError: it has no such place.
            VtdpiError: the command has no answer.
        """
        answer = self.request.answer(inspection)
        return answer, at(json.loads(json.dumps(answer.document)), self.path)

    def holds(self, found: object) -> bool:
        """Whether it is so of what was found."""
        return SIGNS[self.sign](found, self.expected)


def _value(word: str) -> object:
    try:
        value: object = json.loads(word)
    except ValueError:
        pass
    else:
        return value
    try:
        return int(word, 0)
    except ValueError:
        return word


def _check(sign: Sign, expected: object) -> None:
    """Raise UsageError if such a value cannot stand after the sign."""
    if sign in ("<", "<=", ">", ">=") and _as_number(expected) is None:
        raise UsageError(f"{sign} is for numbers, and {as_json(expected)} is none")
    if sign == "=~":
        try:
            re.compile(str(expected))
        except re.error as error:
            raise UsageError(f"{as_json(expected)} is no regular expression: {error}") from None


def _same(found: object, expected: object) -> bool:
    # As JSON has it: 1, 1.0 and true are three things only to the reader of the text.
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(expected, int) and isinstance(found, str):
        return found.startswith("0x") and _as_number(found) == expected
    return found == expected


def _number(value: object) -> float:
    """A number to compare with; for what is none that which is neither less nor more than any."""
    number = _as_number(value)
    return math.nan if number is None else number


def _as_number(value: object) -> int | float | None:
    """A number, or the one that a text such as "0xfee00000" has, as wide ones are in JSON."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _choices(expected: object) -> Sequence[object]:
    if isinstance(expected, list):
        return expected
    return [_value(each) for each in expected.split(",")] if isinstance(expected, str) else [expected]


def as_json(value: object) -> str:
    return json.dumps(value)
