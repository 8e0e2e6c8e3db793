"""A front end: a word of the command line that names no target, its typed options, and what it does with them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from inspector.base.arguments import add_arguments, given
from inspector.base.parser import Parser
from structs.frozen import frozen

A = TypeVar("A")


@frozen
class FrontEnd:
    """What stands behind such a word; made by `front_end()` or `group()`.

    Attributes:
        declare: declares to a parser what may follow the word.
        run: does what was parsed; the exit status. Raises VtdpiError.
        summary: what it is for, in a list of several.
        description: what its help begins with (default: what whoever lists it says).
    """

    declare: Callable[[ArgumentParser], object]
    run: Callable[[Namespace], int]
    summary: str = ""
    description: str = ""

    def main(self, prog: str, words: Sequence[str], description: str) -> int:
        """Do what the words say; the exit status.

        Args:
            prog: what stands before the words, for the help.
            words: its options, and what else follows it.
            description: what its help begins with, if it says nothing itself.

        Raises:
            UsageError: it does not take these words.
            VtdpiError: it cannot be done.
            SystemExit: `--help` was asked for and printed.
        """
        parser = Parser(prog, description=self.description or description)
        self.declare(parser)
        return self.run(parser.parse_args(words))


def front_end(options: type[A], run: Callable[[A], int], summary: str = "", description: str = "") -> FrontEnd:
    """One that takes the options that a dataclass declares (`inspector.base.arguments`); see FrontEnd."""
    return FrontEnd(
        lambda parser: add_arguments(parser, options),
        lambda parsed: run(given(options, parsed)),
        summary,
        description,
    )


def group(members: Mapping[str, FrontEnd]) -> FrontEnd:
    """One whose next word says which of several it is."""

    def declare(parser: ArgumentParser) -> None:
        words = parser.add_subparsers(dest="member", required=True, metavar="COMMAND")
        for name, each in members.items():
            each.declare(words.add_parser(name, help=each.summary, description=each.description or None))

    def run(parsed: Namespace) -> int:
        chosen: str = parsed.member
        return members[chosen].run(parsed)

    return FrontEnd(declare, run)
