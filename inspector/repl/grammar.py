"""What may stand where in a line, as the commands' own parsers declare it."""

from __future__ import annotations

import re
from argparse import REMAINDER, Action
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inspector.commands import COMMANDS
from inspector.repl.objects import KINDS
from inspector.shell import request
from inspector.shell.help import BUILT_IN

FILE = "FILE"
COMMAND = "COMMAND"
# The names that commands give to files: `diff A B`.
FILES = ("FILE", "A", "B")


@dataclass(frozen=True)
class Value:
    """What a word stands for: one of `choices`, or an object of one of `kinds` (a file, a command, or of KINDS)."""

    kinds: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True)
class Option:
    """An option; `value` is what it takes, None if it takes nothing."""

    help: str
    value: Value | None


@dataclass(frozen=True)
class Syntax:
    """A command's options by name, and its other words in order; the last repeats if `more`.

    `nested`: its words are another command's line.
    """

    options: Mapping[str, Option]
    words: Sequence[Value]
    more: bool = False
    nested: bool = False

    def word(self, number: int) -> Value | None:
        """What the word at a position stands for, options not counted."""
        if number < len(self.words):
            return self.words[number]
        return self.words[-1] if self.more and self.words else None


class Grammar:
    """The syntax of every command. Loading imports the commands: do it where nobody waits."""

    def __init__(self) -> None:
        self.commands: dict[str, Syntax] = {"help": Syntax({}, [Value((COMMAND,))]), "quit": Syntax({}, [])}
        for name in COMMANDS:
            self.commands[name] = _syntax(request.parser(name)._actions)

    def at(self, words: Sequence[str]) -> tuple[Syntax, Value | None] | None:
        """The command that the words before the cursor begin with, and what the next may stand for beside an option.

        None: they begin with no command.
        """
        syntax = self.commands.get(words[0]) if words else None
        if syntax is None:
            return None
        if syntax.nested:
            return self.at(words[1:]) if words[1:] else (Syntax({}, []), Value((COMMAND,)))
        if len(words) > 1 and words[-1] in self.commands and self.commands[words[-1]].words:
            # `route irte N`: what the command of that name takes.
            return syntax, self.commands[words[-1]].words[0]
        number = 0
        pending: Value | None = None
        for word in words[1:]:
            if pending:
                pending = None
            elif word.startswith("-"):
                option = syntax.options.get(word)
                pending = option.value if option else None
            else:
                number += 1
        return syntax, pending or syntax.word(number)


def _syntax(actions: Iterable[Action]) -> Syntax:
    options: dict[str, Option] = {}
    words: list[Value] = []
    more = nested = False
    for action in actions:
        if action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            options |= {name: Option(action.help or "", value) for name in action.option_strings}
        elif action.nargs == REMAINDER:
            nested = True
        else:
            words.append(_value(action))
            more = action.nargs in ("+", "*")
    return Syntax(options, words, more, nested)


def _value(action: Action) -> Value:
    metavar = str(action.metavar or "")
    named = [action.dest.upper(), *re.findall(r"\w+", metavar)]
    kinds = dict.fromkeys(FILE if name in FILES else name for name in named if name in KINDS or name in FILES)
    keywords = re.findall(r"\b[a-z]+\b", metavar) if "|" in metavar else ()
    return Value(tuple(kinds), (*map(str, action.choices or ()), *keywords), action.help or "")


SUMMARIES = {**COMMANDS, **BUILT_IN}
"""Every word that a line may begin with, and what it is for."""
