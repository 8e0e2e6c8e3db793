"""`vtdpi help`."""

from __future__ import annotations

import sys

from inspector.base.arguments import argument, json_flag
from inspector.frontends.front_end import front_end
from structs.frozen import frozen


@frozen
class HelpOptions:
    """What it takes."""

    command: str | None = argument("this one: its options and examples", None, metavar="COMMAND")
    json: bool = json_flag()


def run(options: HelpOptions) -> int:
    """Print the help; the exit status. Raises UsageError if there is no such command."""
    from inspector.commands.command import Example
    from inspector.shell import help
    from inspector.shell.session import Answered

    answered = Answered(
        help.answer([options.command] if options.command else [], example=Example.of_shell), options.json
    )
    answered.show(sys.stdout)
    return answered.status


FRONT_END = front_end(HelpOptions, run)
