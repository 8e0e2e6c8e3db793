"""A command-line parser whose complaint is a UsageError, in one line, and whose help is lost nowhere."""

from __future__ import annotations

import sys
from argparse import ArgumentError, ArgumentParser

from inspector.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action
    from typing import Any, NoReturn

    from _typeshed import SupportsWrite


class Parser(ArgumentParser):
    """As ArgumentParser, but for `error`, and for where messages go."""

    def error(self, message: str) -> NoReturn:
        """As ArgumentParser.error. Raises UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` tells the options)")

    def _get_value(self, action: Action, arg_string: str) -> Any:
        # A variable of a script that is not set: without it something else would be looked at.
        if action.option_strings and action.type is None and not arg_string:
            raise ArgumentError(action, "expected a value, found an empty one")
        return super()._get_value(action, arg_string)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse's own passes over a stdout that takes nothing.
        (sys.stdout if file is None else file).write(message)
