"""What may stand where in a line, as the commands' own parsers declare it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace

from inspector import commands
from inspector.base.arguments import COMMAND, FILE, JSON_HELP, Argument, Form, arguments_of, meant
from inspector.base.errors import UsageError
from inspector.commands.choosing import Choosing
from inspector.commands.command import Command
from inspector.shell import opening, settings
from inspector.shell.help import OF_THE_SHELL
from inspector.targets.options import SimOptions
from structs.frozen import frozen

__all__ = ["COMMAND", "FILE", "Grammar", "Option", "Syntax", "Value"]


@frozen
class Value:
    """What a word stands for: one of `choices`, or an object of one of `kinds` (a file, a command, or of KINDS).

    `keywords` are those of the choices that another word follows, and what that stands for.
    """

    kinds: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    help: str = ""
    keywords: Mapping[str, Value] = field(default_factory=dict)


@frozen
class Option:
    """An option; `value` is what it takes, None if it takes nothing."""

    help: str
    value: Value | None


@frozen
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

    def follows(self, word: str) -> Value | None:
        """What the word after an option stands for; None if it takes none, or has brought its value itself."""
        names = [] if "=" in word else meant(word, self.options)
        return self.options[names[0]].value if len(names) == 1 else None

    def unused(self, words: Sequence[str]) -> Mapping[str, Option]:
        """The options that these words do not name."""
        used = {name for word in words for name in meant(word, self.options)}
        return {name: option for name, option in self.options.items() if name not in used}


KEEPING = {"--keep": Option("in your configuration too", None)}


class Grammar:
    """The syntax of every command. Loading imports the commands: do it where nobody waits."""

    def __init__(self) -> None:
        self.summaries = {**commands.summaries(), **OF_THE_SHELL}
        self._targets = {name: _target(name, options) for name, options in opening.KINDS.items()}
        self.commands: dict[str, Syntax] = {
            "help": Syntax({}, [Value((COMMAND,))]),
            "source": Syntax({}, [Value((FILE,))]),
            "repeat": Syntax({}, [Value(), Value((COMMAND,))]),
            "history": Syntax({}, [Value()]),
            "set": Syntax(KEEPING, [_settings()]),
            "show": Syntax({}, [Value(choices=tuple(settings.settings()))]),
            "unset": Syntax(KEEPING, [Value(choices=tuple(settings.settings()))]),
            "open": Syntax({}, [Value(choices=tuple(opening.KINDS))]),
            "quit": Syntax({}, []),
        }
        for name in commands.names():
            with suppress(UsageError):
                self.commands[name] = _syntax(commands.load(name))

    def at(self, words: Sequence[str]) -> tuple[Syntax, Value | None] | None:
        """The command that the words before the cursor begin with, and what the next may stand for beside an option.

        None: they begin with no command.
        """
        syntax = self.commands.get(words[0]) if words else None
        if syntax is None:
            return None
        if words[0] == "open" and words[1:] and words[1] in self._targets:
            return self._place(self._targets[words[1]], words[2:])
        if syntax.nested:
            return self.at(words[1:]) if words[1:] else (Syntax({}, []), Value((COMMAND,)))
        return self._place(syntax, words[1:])

    @staticmethod
    def _place(syntax: Syntax, words: Sequence[str]) -> tuple[Syntax, Value | None]:
        """The syntax, and what the word after these may stand for."""
        number = 0
        pending: Value | None = None
        for word in words:
            if pending:
                pending = None
            elif word.startswith("-"):
                pending = syntax.follows(word)
            else:
                place = syntax.word(number)
                number += 1
                if place and word in place.keywords:
                    pending = place.keywords[word]
        return syntax, pending or syntax.word(number)


def _syntax(command: Command) -> Syntax:
    also = arguments_of(Choosing) if command.chooses else ()
    made = _declared((*arguments_of(command.arguments), *also))
    return replace(made, options={**made.options, "--json": Option(JSON_HELP, None)})


def _target(name: str, options: type) -> Syntax:
    """What follows `open` and a kind of target."""
    if name != "sim":
        return _declared(arguments_of(options))
    made = _declared([each for each in arguments_of(options) if each.name not in SimOptions.NOT_OPENED])
    return replace(made, words=[Value(("SCENARIO",))])


def _declared(arguments: Sequence[Argument]) -> Syntax:
    options: dict[str, Option] = {}
    words: list[Value] = []
    more = nested = False
    for each in arguments:
        if each.flags:
            value = _value(each) if each.takes_value else None
            options |= {name: Option(each.help, value) for name in each.flags}
        elif each.form is Form.REST:
            nested = True
        else:
            words.append(_value(each))
            more = each.form is Form.MANY
    return Syntax(options, words, more, nested)


def _settings() -> Value:
    """A setting, and what may follow it."""
    names = tuple(settings.settings())
    following = {name: Value(choices=settings.choices(name)) for name in names}
    following |= {"columns": Value((COMMAND,)), "colors": Value(choices=tuple(settings.tables()["colors"]))}
    return Value(choices=names, help="a setting", keywords=following)


def _value(each: Argument) -> Value:
    kinds = dict.fromkeys(kind for word in each.words for kind in word.completed_by)
    keywords = {name: Value((kind,) if kind else ()) for word in each.words for name, kind in word.keywords.items()}
    return Value(tuple(kinds), (*each.choices, *keywords), each.help, keywords)


SUMMARIES = {**commands.BUILT_IN, **OF_THE_SHELL}
"""Every word of our own that a line may begin with, and what it is for."""
