"""The words of a command line to the command that they ask for: the same for the CLI, the REPL and scripts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from inspector.base.errors import UsageError
from inspector.commands import COMMANDS, Command, command


@dataclass(frozen=True)
class Request:
    """A command and its options, not yet run."""

    name: str
    module: Command
    options: Namespace


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (`{self.prog} --help` tells the options)")


def parse(words: Sequence[str], prefix: str = "", json: bool = False) -> Request:
    """What the words ask for.

    Args:
        words: the command's name and its options.
        prefix: what stands before the name in help texts.
        json: whether the answer is JSON even without `--json`.

    Raises:
        UsageError: there is no such command, or it does not take these options.
        SystemExit: `--help` was asked for and printed.
    """
    name, *rest = words
    options = parser(name, prefix, json).parse_args(rest)
    return Request(name, command(name), options)


def parser(name: str, prefix: str = "", json: bool = False) -> ArgumentParser:
    """The parser of a command's options. Raises UsageError if there is no such command."""
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no command {name!r}; there are {', '.join(COMMANDS)}{hint}")
    module = command(name)
    made = _Parser(f"{prefix}{name}", description=module.__doc__, formatter_class=RawDescriptionHelpFormatter)
    module.arguments(made)
    made.add_argument("--json", action="store_true", default=json, help="one JSON document and nothing else")
    return made
