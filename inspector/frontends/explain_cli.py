"""`vtdpi explain`, which needs no target."""

from __future__ import annotations

import sys

from inspector.base.arguments import argument, json_flag
from inspector.frontends.front_end import front_end
from structs.frozen import frozen


@frozen
class ExplainOptions:
    """What it takes."""

    thing: str | None = argument("a rule (D5), situation (S8), hazard, bug or field", None, metavar="THING")
    json: bool = json_flag()


def run(options: ExplainOptions) -> int:
    """Print the explanation; the exit status. Raises UsageError if nothing is called so."""
    from inspector.commands.explain import explain, explained
    from inspector.shell.session import Answered

    answered = Answered(explained(options.thing).named(explain.schema), options.json)
    answered.show(sys.stdout)
    return answered.status


FRONT_END = front_end(ExplainOptions, run)
