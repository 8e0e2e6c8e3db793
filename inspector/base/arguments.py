"""The typed arguments of a command or a target: a dataclass, each field's type and metadata say what it is.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Arguments:
...     index: int = argument("the entry's index in the table", metavar="INDEX")
...     posted: bool = flag("only entries in posted format")
>>> [(each.name, each.flags, each.form) for each in arguments_of(Arguments)]
[('index', (), <Form.ONE: 'one'>), ('posted', ('--posted',), <Form.FLAG: 'flag'>)]

What a type means: `bool` is a flag; `X | None` may be left out; `tuple[X, ...]` may be repeated; `Literal` is one of
these; a `Word` in `Annotated[X, Word(...)]` says how a word becomes an X, and what completes it; a field made by
`section()` holds a dataclass of options that stand together in the help. argparse's parser, the completion of the
prompt and of gdb, and the help are made of this: `add_arguments` declares them to a parser, `given` makes the dataclass
of what it parsed.
"""

from __future__ import annotations

import types
from argparse import REMAINDER, Action, ArgumentTypeError, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, field, fields
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from structs.frozen import frozen

if TYPE_CHECKING:
    from argparse import _ActionsContainer

A = TypeVar("A")
REQUIRED = MISSING


class BadWord(ValueError):
    """A word that an argument does not take; says what it expects."""


def _text(word: str) -> str:
    return word


@frozen
class Word:
    """What a word stands for.

    Attributes:
        name: in help texts, such as `dXvY`.
        read: the word's value. Raises BadWord.
        kind: what completes it: a kind of object of the machine (`inspector.repl.objects.KINDS`), FILE or COMMAND.
        noun, example: for a message on what was expected instead.
        keywords: words that may stand here as they are, and the kind of the word that follows each.
        kinds: if several complete it, instead of `kind`.
    """

    name: str
    read: Callable[[str], object] = _text
    kind: str = ""
    noun: str = ""
    example: str = ""
    keywords: Mapping[str, str] = field(default_factory=dict, hash=False)
    kinds: tuple[str, ...] = ()

    @property
    def completed_by(self) -> tuple[str, ...]:
        """The kinds that complete it."""
        return self.kinds or ((self.kind,) if self.kind else ())


def read_number(word: str) -> int:
    """A number as C writes it: 24, 0x18. Raises BadWord."""
    try:
        value = int(word, 0)
    except ValueError:
        value = -1
    if value < 0:
        digits = word.lstrip("0")
        # C would take it for octal; whoever typed it may have meant any of three numbers.
        several = f"; {word} may be {digits} or 0x{digits}" if digits.isdigit() and word != digits else ""
        raise BadWord(f"{word!r} is no number; expected one such as 24 or 0x18{several}")
    return value


def read_integer(word: str) -> int:
    """A number that may be negative. Raises BadWord."""
    try:
        return int(word, 0)
    except ValueError:
        raise BadWord(f"{word!r} is no number; expected one such as 24 or -1") from None


JSON_HELP = "one JSON document and nothing else"
FILE, COMMAND = "FILE", "COMMAND"
TEXT = Word("TEXT")
NUMBER = Word("N", read_number, noun="number", example="24 or 0x18")
PATH = Word("FILE", Path, kind=FILE)

Integer = Annotated[int, Word("N", read_integer)]
FileName = Annotated[str, Word("FILE", kind=FILE)]
FilePath = Annotated[Path, PATH]


class Form(Enum):
    """How an argument stands in a line."""

    ONE = "one"
    FLAG = "flag"
    MANY = "many"
    REST = "rest"
    """All words that follow, options of another command among them."""


@frozen
class Argument:
    """One field of the arguments' dataclass.

    Attributes:
        flags: an option's names (`--unit`); empty for what is told by its place.
        words: what it may be, one of these; several are tried one after another.
        choices: if it is one of a few words.
        required: whether it must be there; for MANY, one at least.
        group: options of one group exclude each other.
        into: the field that its values are added to, in the order of the line, in place of its own.
    """

    name: str
    form: Form
    help: str
    flags: tuple[str, ...] = ()
    words: tuple[Word, ...] = (TEXT,)
    choices: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    metavar: str = ""
    group: str = ""
    into: str = ""

    @property
    def takes_value(self) -> bool:
        """Whether a word follows the option."""
        return self.form is not Form.FLAG

    def read(self, word: str) -> object:
        """The value of a word. Raises BadWord."""
        # A variable of a script that is not set: without it something else would be looked at.
        if self.flags and not word:
            raise BadWord("expected a value, found an empty one")
        if len(self.words) == 1:
            return self.words[0].read(word)
        for each in self.words:
            try:
                return each.read(word)
            except BadWord:
                continue
        expected = " nor ".join(f"{article(each.noun)}, such as {each.example}," for each in self.words)
        raise BadWord(f"{word!r} is neither {expected}".rstrip(","))


def article(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def argument(help: str, default: Any = REQUIRED, *, metavar: str = "", rest: bool = False) -> Any:
    """A field that is told by its place.

    Args:
        help: what it is, in a few words.
        default: its value if it is left out; without, it must be there.
        metavar: its name in help texts (default: that of its Word).
        rest: it takes all words that follow.
    """
    return _declared(default, help=help, metavar=metavar, rest=rest)


def option(
    help: str,
    default: Any = None,
    *,
    flags: Sequence[str] = (),
    metavar: str = "",
    group: str = "",
    into: str = "",
) -> Any:
    """A field that is told by its name: `--unit N`.

    Args:
        help: what it does, in a few words.
        default: its value if it is not given; `()` for one that may be repeated, REQUIRED if it must be given.
        flags: its names (default: that of the field).
        metavar: what follows it in help texts (default: the name of its Word).
        group: options of one group exclude each other.
        into: another field that may be repeated, if its values and those of this one are one list, in the order of the
            line.
    """
    return _declared(default, help=help, flags=tuple(flags), metavar=metavar, group=group, into=into, option=True)


def flag(help: str, *, flags: Sequence[str] = (), group: str = "") -> Any:
    """A field that is True if its name is given: `--posted`; see option()."""
    return option(help, False, flags=flags, group=group)


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, however little sense it makes otherwise.

    >>> wants_json(["sim", "irtt", "--json"]), wants_json(["--format=json"]), wants_json(["--format", "jsonl"])
    (True, True, False)
    """
    pairs = pairwise([*words, ""])
    return any(word in ("--json", "--format=json") or (word, value) == ("--format", "json") for word, value in pairs)


def json_flag() -> Any:
    """The flag `--json`, which is the same wherever it is."""
    return flag(JSON_HELP)


def section(options: type[A], title: str, description: str = "") -> A:
    """A field whose value is a dataclass of options; in the help they stand together, under a title.

    Args:
        options: that dataclass; none of its options is required.
        title: of its part of the help.
        description: what stands below the title.
    """
    made: A = field(default=options(), metadata={"options": options, "title": title, "description": description})
    return made


def _declared(default: Any, **metadata: object) -> Any:
    if default is REQUIRED:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@frozen
class NoArguments:
    """A command takes none."""


def arguments_of(declared: type) -> tuple[Argument, ...]:
    """The arguments that a dataclass declares, those of its sections too, in order.

    Raises:
        TypeError: it does not say what they are.
    """
    found: list[Argument] = []
    for each in _parts(declared):
        found += [each] if isinstance(each, Argument) else arguments_of(each.options)
    return tuple(found)


@frozen
class _Section:
    """A field made by section(), whose parameters these are."""

    name: str
    options: type
    title: str
    description: str


@cache
def _parts(declared: type) -> tuple[Argument | _Section, ...]:
    """The fields of a dataclass, as what they were declared."""
    hints = get_type_hints(declared, include_extras=True)
    return tuple(
        _Section(each.name, **each.metadata)
        if "options" in each.metadata
        else _argument(each.name, hints[each.name], each.default, each.metadata)
        for each in fields(declared)
    )


def _argument(name: str, hint: Any, default: Any, said: Mapping[str, Any]) -> Argument:
    if "help" not in said:
        raise TypeError(f"{name} is declared neither by argument() nor by option() or flag()")
    is_option = bool(said.get("option"))
    parts, many = _alternatives(hint), False
    if len(parts) == 1 and get_origin(parts[0]) is tuple:
        many, parts = True, _alternatives(get_args(parts[0])[0])
    form = Form.REST if said.get("rest") else Form.MANY if many else Form.FLAG if parts == [bool] else Form.ONE
    choices = get_args(parts[0]) if get_origin(parts[0]) is Literal else ()
    words = tuple(map(_word, parts))
    return Argument(
        name,
        form,
        said["help"],
        (said.get("flags") or (f"--{name.replace('_', '-')}",)) if is_option else (),
        words,
        choices,
        None if default is REQUIRED else default,
        default is REQUIRED,
        said.get("metavar") or "|".join(word.name for word in words),
        said.get("group", ""),
        said.get("into", ""),
    )


def _alternatives(hint: Any) -> list[Any]:
    """The types of a union, without None."""
    if get_origin(hint) in (Union, types.UnionType):
        return [part for part in get_args(hint) if part is not type(None)]
    return [hint]


def _word(hint: Any) -> Word:
    if get_origin(hint) is Annotated:
        return next((each for each in hint.__metadata__ if isinstance(each, Word)), TEXT)
    return {int: NUMBER, Path: PATH}.get(hint, TEXT)


def add_arguments(parser: _ActionsContainer, declared: type) -> list[Action]:
    """Declare the arguments of a dataclass to a parser; what argparse makes of each."""
    actions: list[Action] = []
    groups: dict[str, _ActionsContainer] = {}
    for each in _parts(declared):
        if isinstance(each, _Section):
            group = parser.add_argument_group(each.title, each.description or None)
            actions += add_arguments(group, each.options)
            continue
        where = parser
        if each.group:
            if each.group not in groups:
                groups[each.group] = parser.add_mutually_exclusive_group()
            where = groups[each.group]
        if each.flags:
            actions.append(
                where.add_argument(*each.flags, dest=each.into or each.name, help=each.help, **_option(each))
            )
        else:
            actions.append(where.add_argument(each.name, help=each.help, **_positional(each)))
    return actions


def given(declared: type[A], options: Namespace) -> A:
    """The dataclass with what was parsed."""
    kind: type = declared
    return declared(**{each.name: _value(each, options) for each in _parts(kind)})


def meant(word: str, flags: Collection[str]) -> list[str]:
    """Which of these options a word of a line names: itself, or all that begin with it, for it may be shortened.

    Of several it is the one that all others begin with, if there is one.

    >>> meant("--po", ["--posted", "--unit"]), meant("--unit=0", ["--posted", "--unit"])
    (['--posted'], ['--unit'])
    """
    name = word.partition("=")[0]
    if name in flags:
        return [name]
    found = [each for each in flags if each.startswith(name) and len(name) > len("--")]
    shortest = min(found, key=len, default="")
    return [shortest] if found and all(each.startswith(shortest) for each in found) else found


def _value(each: Argument | _Section, options: Namespace) -> object:
    if isinstance(each, _Section):
        return given(each.options, options)
    if each.into:
        return each.default
    value = getattr(options, each.name)
    if value is None:
        return each.default
    return tuple(value) if isinstance(value, list) else value


def _option(each: Argument) -> dict[str, Any]:
    if each.form is Form.FLAG:
        return {"action": "store_true"}
    required = {"required": each.required}
    if each.form is Form.MANY:
        default = list(each.default or ())
        return {"action": "append", "default": default, "type": _read(each), "metavar": each.metavar, **required}
    # argparse reads a default that is text as if it had been given.
    return {"default": None, "type": _read(each), **_form(each), **required}


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
