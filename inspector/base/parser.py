"""A command-line parser whose complaint is a UsageError, in one line."""

from __future__ import annotations

from argparse import ArgumentParser

from inspector.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Parser(ArgumentParser):
    """As ArgumentParser, but for `error`."""

    def error(self, message: str) -> NoReturn:
        """As ArgumentParser.error. Raises UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` tells the options)")
