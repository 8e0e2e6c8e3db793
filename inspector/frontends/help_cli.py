"""The words of `vtdpi help`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="this one: its options and examples")
    parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")


def run(options: Namespace) -> int:
    """Print the help; the exit status. Raises UsageError if there is no such command."""
    from inspector.commands.command import Example
    from inspector.shell import help
    from inspector.shell.session import Answered

    answered = Answered(
        help.answer([options.command] if options.command else [], example=Example.of_shell), options.json
    )
    answered.show(sys.stdout)
    return answered.status
