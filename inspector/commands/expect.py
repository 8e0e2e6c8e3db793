"""The command `expect`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, cast

from inspector.base.arguments import argument
from inspector.base.errors import ExpectationFailed, UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command, parse
from inspector.commands.json_path import PathError, at
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

Sign = Literal["==", "!=", "<", "<=", ">", ">=", "in", "=~"]
SIGNS: Mapping[Sign, Callable[[object, object], bool]] = {
    "==": lambda found, expected: _same(found, expected),
    "!=": lambda found, expected: not _same(found, expected),
    "<": lambda found, expected: _number(found) < _number(expected),
    "<=": lambda found, expected: _number(found) <= _number(expected),
    ">": lambda found, expected: _number(found) > _number(expected),
    ">=": lambda found, expected: _number(found) >= _number(expected),
    "in": lambda found, expected: any(_same(found, each) for each in _choices(expected)),
    "=~": lambda found, expected: bool(re.search(str(expected), found if isinstance(found, str) else _text(found))),
}
"""What may stand between path and value, and whether what was found is so."""
FORM = f"expected COMMAND [OPTIONS] PATH SIGN VALUE, such as: irt .units[0].size == 65536; SIGN is {', '.join(SIGNS)}"


@frozen
class Arguments:
    """What it takes."""

    words: tuple[str, ...] = argument("what is expected", metavar="COMMAND ... PATH SIGN VALUE", rest=True)


@command(
    Arguments,
    Example("dump FILE", "expect irt '.units[0].entries[#]' == 24"),
    Example("dump FILE", "expect irt --posted '.units[index=0].entries[index=25].vector' == 81"),
    Example("dump FILE", "expect info .xen.version =~ '^4[.]20'"),
    Example("dump FILE", "expect vcpus .vcpus[domain=1,vcpu=0].runstate in running,runnable"),
    Example("dump FILE", "expect faults .faults[#] < 10"),
)
def expect(inspection: Inspection, arguments: Arguments) -> Answer[documents.Expect]:
    """Fail unless a command answers as expected: its JSON, a path in it, and a value.

    The path is that of jq: `.units[0].size`; `[key=value,...]` selects the one element of a list that has these values,
    `[#]` is how many elements a list has. The value is JSON; what is none is taken as text.

    The signs: == and !=; <, <=, > and >= for numbers; `in` for a list, in JSON or with commas; =~ for a regular
    expression that is found in it. If it is not so, both values are printed, and the exit status is 1.
    """
    if len(arguments.words) < 4 or arguments.words[-2] not in SIGNS or arguments.words[0] == "expect":
        raise UsageError(FORM)
    *words, path, word, value = arguments.words
    sign = cast(Sign, word)
    wanted = parse(words)
    expected = value if sign == "=~" else _value(value)
    _check(sign, expected)
    name = f"{path} of `{' '.join(words)}`"
    answer = wanted.answer(inspection)
    try:
        found = at(json.loads(json.dumps(answer.document)), path)
    except PathError as error:
        raise ExpectationFailed(f"expected {name} {sign} {_text(expected)}, found {error}") from None
    if not SIGNS[sign](found, expected):
        raise ExpectationFailed(f"expected {name} {sign} {_text(expected)}, found {_text(found)}")
    document: documents.Expect = {
        "command": words,
        "path": path,
        "found": found,
        "expected": expected,
        "sign": sign,
    }
    return Answer(
        document, [Text(f"as expected: {name} {sign} {_text(expected)}")], answer.problems, absent=answer.absent
    )


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
        raise UsageError(f"{sign} is for numbers, and {_text(expected)} is none")
    if sign == "=~":
        try:
            re.compile(str(expected))
        except re.error as error:
            raise UsageError(f"{_text(expected)} is no regular expression: {error}") from None


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


def _text(value: object) -> str:
    return json.dumps(value)
