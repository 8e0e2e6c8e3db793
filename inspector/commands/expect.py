"""The command `expect`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from inspector.base.arguments import argument
from inspector.base.errors import ExpectationFailed, UsageError
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command, parse
from inspector.commands.json_path import PathError, at
from inspector.model.answer import Answer, Text

if TYPE_CHECKING:
    from inspector.model import documents

Sign = Literal["==", "!="]
FORM = "expected COMMAND [OPTIONS] PATH == VALUE, such as: irt .units[0].size == 65536"


@dataclass(frozen=True)
class Arguments:
    """What it takes."""

    words: tuple[str, ...] = argument("what is expected", metavar="COMMAND ... PATH == VALUE", rest=True)


@command(
    Arguments,
    Example("dump FILE", "expect irt '.units[0].entries[#]' == 24"),
    Example("dump FILE", "expect irt --posted '.units[index=0].entries[index=25].vector' == 81"),
    Example("dump FILE", "expect info .xen.version == 4.20.3"),
)
def expect(inspection: Inspection, arguments: Arguments) -> Answer[documents.Expect]:
    """Fail unless a command answers as expected: its JSON, a path in it, and a value.

    The path is that of jq: `.units[0].size`; `[key=value,...]` selects the one element of a list that has these values,
    `[#]` is how many elements a list has. The value is JSON; what is none is taken as text. `!=` expects another value.
    If it fails, both values are printed, and the exit status is 1.
    """
    if len(arguments.words) < 4 or arguments.words[-2] not in ("==", "!=") or arguments.words[0] == "expect":
        raise UsageError(FORM)
    *words, path, sign, value = arguments.words
    wanted = parse(words)
    expected = _value(value)
    name = f"{path} of `{' '.join(words)}`"
    answer = wanted.answer(inspection)
    try:
        found = at(json.loads(json.dumps(answer.document)), path)
    except PathError as error:
        raise ExpectationFailed(f"expected {name} {sign} {_text(expected)}, found {error}") from None
    if _same(found, expected) != (sign == "=="):
        raise ExpectationFailed(f"expected {name} {sign} {_text(expected)}, found {_text(found)}")
    document: documents.Expect = {
        "command": words,
        "path": path,
        "found": found,
        "expected": expected,
        "sign": cast(Sign, sign),
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


def _same(found: object, expected: object) -> bool:
    # As JSON has it: 1, 1.0 and true are three things only to the reader of the text.
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    return found == expected


def _text(value: object) -> str:
    return json.dumps(value)
