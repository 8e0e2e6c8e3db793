"""The words of a command line to the command that they ask for: the same for the CLI, the REPL and scripts."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inspector import commands
from inspector.base.arguments import arguments_of
from inspector.base.parser import Parser
from inspector.commands.command import Command, Example
from inspector.commands.parsing import add_arguments, given

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection
    from inspector.model.answer import Answer


@dataclass(frozen=True)
class Request:
    """A command and its arguments, not yet run. `json` is whether the answer is to be JSON."""

    command: Command
    arguments: Any
    json: bool

    def answer(self, inspection: Inspection) -> Answer:
        """The whole answer. Raises VtdpiError if nothing could be read."""
        return self.command.answer(inspection, self.arguments)


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
    command = commands.load(name)
    made = parser(command, prefix)
    made.set_defaults(json=json)
    options: Namespace = made.parse_args(rest)
    return Request(command, given(command.arguments, options), options.json)


def parser(command: Command, prefix: str = "", example: Callable[[Example], str] = Example.of_shell) -> ArgumentParser:
    """The parser of a command's options; `example` gives an example as one types it in one's place."""
    made = Parser(
        f"{prefix}{command.name}",
        description=command.explained(example),
        formatter_class=RawDescriptionHelpFormatter,
    )
    add_arguments(made, command.arguments)
    if not any(each.name == "json" for each in arguments_of(command.arguments)):
        made.add_argument("--json", action="store_true", help="one JSON document and nothing else")
    return made
