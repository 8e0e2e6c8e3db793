"""The command `expect`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from inspector.base.arguments import argument
from inspector.base.errors import ExpectationFailed
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.condition import HOW, Condition, as_json
from inspector.commands.json_path import PathError
from inspector.model.answer import Answer, Text
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

FORM = f"expected COMMAND [OPTIONS] PATH SIGN VALUE, such as: irt .units[0].size == 65536; {HOW}"


@frozen
class Arguments:
    """What it takes."""

    words: tuple[str, ...] = argument("what is expected", metavar="COMMAND ... PATH SIGN VALUE", rest=True)


@command(
    Arguments,
    Example("dump FILE", "expect irt '.units[0].entries[#]' == 24"),
    Example("dump FILE", "expect irt --posted '.units[unit=0].entries[index=25].vector' == 81"),
    Example("dump FILE", "expect info .xen.version =~ '^4[.]20'"),
    Example("dump FILE", "expect vcpus .vcpus[name=d1v0].runstate in running,runnable"),
    Example("dump FILE", "expect faults .faults[#] < 10"),
)
def expect(inspection: Inspection, arguments: Arguments) -> Answer[documents.Expect]:
    """Fail unless a command answers as expected: its JSON, a path in it, and a value.

    The path is that of jq: `.units[0].size`; `[key=value,...]` selects the one element of a list that has these values,
    `[#]` is how many elements a list has. The value is JSON; what is none is taken as text.

    The signs: == and !=; <, <=, > and >= for numbers; `in` for a list, in JSON or with commas; =~ for a regular
    expression that is found in it. If it is not so, both values are printed, and the exit status is 1.
    """
    condition = Condition.of(arguments.words, FORM)
    try:
        answer, found = condition.look(inspection)
    except PathError as error:
        raise ExpectationFailed(f"expected {condition}, found {error}") from None
    if not condition.holds(found):
        raise ExpectationFailed(f"expected {condition}, found {as_json(found)}")
    document: documents.Expect = {
        "command": shlex.join(condition.words),
        "path": condition.path,
        "found": found,
        "expected": condition.expected,
        "sign": condition.sign,
    }
    return Answer(document, [Text(f"as expected: {condition}")], answer.problems, absent=answer.absent)
