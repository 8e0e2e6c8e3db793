"""A command-line parser whose complaint is a UsageError, in one line, and whose help is lost nowhere."""

from __future__ import annotations

import sys
from argparse import ArgumentParser

from inspector.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from _typeshed import SupportsWrite


class Parser(ArgumentParser):
    """As ArgumentParser, but for `error`, and for where messages go."""

    def error(self, message: str) -> NoReturn:
        """As ArgumentParser.error. Raises UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` tells the options)")

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        # What is short for several is short for the one that all others begin with: --scen, for --scenario.
        found: list[Any] = super()._get_option_tuples(option_string)
        shortest = min((each[1] for each in found), key=len, default="")
        return (
            [each for each in found if each[1] == shortest] if all(e[1].startswith(shortest) for e in found) else found
        )

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse's own passes over a stdout that takes nothing.
        out = sys.stdout if file is None else file
        isatty = getattr(out, "isatty", None)
        if isatty and isatty():
            from shutil import get_terminal_size

            from inspector.base.wrapping import wrapped

            message = wrapped(message, get_terminal_size().columns)
        out.write(message)
