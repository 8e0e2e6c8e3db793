"""argparse for typed arguments: what a dataclass declares is parsed, and given back as one; complaints are one line."""

from __future__ import annotations

import sys
from argparse import REMAINDER, Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from inspector.base.arguments import Argument, BadWord, Form, arguments_of
from inspector.base.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Parser(ArgumentParser):
    """As ArgumentParser, but for `error`, and that help which cannot be printed is an OSError."""

    def error(self, message: str) -> NoReturn:
        """As ArgumentParser.error. Raises UsageError."""
        raise UsageError(f"{message} (`{self.prog} --help` tells the options)")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        # argparse's own passes over a stdout that takes nothing.
        (sys.stdout if file is None else file).write(message)


A = TypeVar("A")


def add_arguments(parser: ArgumentParser, declared: type) -> list[Action]:
    """Declare the arguments of a dataclass to a parser; what argparse makes of each."""
    actions: list[Action] = []
    groups: dict[str, Any] = {}
    for each in arguments_of(declared):
        where: Any = parser
        if each.group:
            if each.group not in groups:
                groups[each.group] = parser.add_mutually_exclusive_group()
            where = groups[each.group]
        if each.flags:
            actions.append(where.add_argument(*each.flags, dest=each.name, help=each.help, **_option(each)))
        else:
            actions.append(where.add_argument(each.name, help=each.help, **_positional(each)))
    return actions


def given(declared: type[A], options: Namespace) -> A:
    """The dataclass with what was parsed."""
    values = {each.name: getattr(options, each.name) for each in arguments_of(declared)}
    return declared(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def _option(each: Argument) -> dict[str, Any]:
    if each.form is Form.FLAG:
        return {"action": "store_true"}
    if each.form is Form.MANY:
        return {"action": "append", "default": list(each.default), "type": _read(each), "metavar": each.metavar}
    return {"default": each.default, "type": _read(each), **_form(each)}


def _positional(each: Argument) -> dict[str, Any]:
    if each.form is Form.REST:
        return {"nargs": REMAINDER, "metavar": each.metavar}
    if each.form is Form.MANY:
        default = {} if each.required else {"default": each.default}
        return {"nargs": "+" if each.required else "*", "type": _read(each), "metavar": each.metavar, **default}
    optional = {} if each.required else {"nargs": "?", "default": each.default}
    return {"type": _read(each), **_form(each), **optional}


def _form(each: Argument) -> dict[str, Any]:
    return {"choices": each.choices} if each.choices else {"metavar": each.metavar}


def _read(each: Argument) -> Callable[[str], object]:
    def read(word: str) -> object:
        try:
            return each.read(word)
        except BadWord as error:
            raise ArgumentTypeError(str(error)) from None

    return read
