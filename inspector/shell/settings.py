"""What a user sets: one list, of which `set`, `show`, completion, help and the configuration file are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from functools import cache
from typing import Annotated, Any, Literal

from inspector.base.arguments import Argument, BadWord, Word, arguments_of, option
from inspector.base.errors import UsageError
from inspector.views.terminal import Wanted
from structs.frozen import frozen

ON, OFF, AUTO = "on", "off", "auto"


def read_switch(word: str) -> bool:
    """On or off. Raises BadWord."""
    if word not in (ON, OFF):
        raise BadWord(f"expected {ON} or {OFF}, not {word!r}")
    return word == ON


def read_width(word: str) -> int | None:
    """A number of columns, or none for `auto`. Raises BadWord."""
    if word == AUTO:
        return None
    if not word.isdecimal():
        raise BadWord(f"expected {AUTO} or a number of columns, not {word!r}")
    return int(word)


SWITCH = Word("on|off", read_switch)
WIDTH = Word("auto|N", read_width)

Switch = Annotated[bool, SWITCH]
Width = Annotated[int | None, WIDTH]
When = Literal["auto", "always", "never"]


def _table(help: str, **entries: str) -> Any:
    """A field that is a table: words by name."""
    return field(default_factory=lambda: entries, metadata={"help": help, "option": True})


@frozen
class Settings:
    """All of it, as it is where nothing is set."""

    pager: str = option(
        "what shows an answer that is longer than the screen; empty for nothing; with -S, less scrolls sideways",
        "less -RSX",
    )
    format: Literal["table", "vertical", "json", "jsonl", "csv", "markdown"] = option(
        "how answers are shown, as by --format; what has no table is shown as always", "table"
    )
    width: Width = option("columns of the terminal: auto, or a number; 0 for any")
    color: When = option("colours and bold; auto is on a terminal, with heed to NO_COLOR and FORCE_COLOR", "auto")
    links: When = option(
        "links from names to files and to the manual; auto is on a terminal that is known to have links", "auto"
    )
    manual: str = option(
        "where links to the manual lead: a folder or an address; empty for the one that was built here", ""
    )
    confirm: Switch = option("ask before a simulated machine that has moved is left for another target", True)
    completion: Literal["typing", "tab"] = option(
        "when the menu of completions opens: as one types, or with the Tab key only", "typing"
    )
    suggestions: Switch = option("suggest the rest of a line from the history; the right arrow key takes it", True)
    keys: Literal["emacs", "vi"] = option("the keys of the prompt", "emacs")
    bar: Switch = option("the bar below the prompt: running or stopped, Xen's version, posted vectors, findings", True)
    columns: Mapping[str, str] = _table('the columns of a command\'s tables: vcpus = "VCPU,STATE,PIR"')
    aliases: Mapping[str, str] = _table('words of your own for the beginning of a line: posted = "irt --posted"')
    colors: Mapping[str, str] = _table(
        "colours of a line that is typed, as prompt_toolkit writes styles:"
        " https://python-prompt-toolkit.readthedocs.io/en/stable/pages/advanced_topics/styling.html",
        prompt="bold",
        command="bold ansigreen",
        unknown="underline ansired",
        option="ansicyan",
        value="",
        string="ansiyellow",
        pipe="ansimagenta",
        comment="italic",
    )

    @property
    def terminal(self) -> Wanted:
        """What of it is about the terminal."""
        return Wanted(self.width, self.color, self.links, self.manual)


@cache
def settings() -> Mapping[str, Argument]:
    """Every setting by name."""
    return {each.name: each for each in arguments_of(Settings)}


@cache
def tables() -> Mapping[str, Mapping[str, str]]:
    """The settings that are tables, and what is in each where nothing is set."""
    return {each.name: entries for each in fields(Settings) if isinstance(entries := initial(each.name), Mapping)}


def initial(name: str) -> Any:
    """The value of a setting where nothing is set."""
    return getattr(Settings(), name)


def choices(name: str) -> tuple[str, ...]:
    """The words that a setting's value may be, if it is one of a few."""
    each = settings()[name]
    return (ON, OFF) if each.words[0] is SWITCH else (AUTO,) if each.words[0] is WIDTH else each.choices


def meant(word: str) -> str:
    """The setting that a word names: as it is, or as the beginning of one alone.

    Raises:
        UsageError: none, or several.
    """
    known = tuple(settings())
    found = [name for name in known if name == word] or [name for name in known if word and name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{word!r} may be {' or '.join(found)}", expected=found, found=word)
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=1)
    advice = f"did you mean {near[0]}?" if near else None
    raise UsageError(
        f"there is no setting {word!r}: {advice or 'there are ' + ', '.join(known)}",
        expected=known,
        found=word,
        advice=advice,
    )


def changed(now: Settings, name: str, words: Sequence[str]) -> Settings:
    """The settings with one changed, to what words say: `on`, `csv`; of a table the name first: `posted irt --posted`.

    Raises:
        UsageError: it does not take them.
    """
    if name in tables():
        return _entered(now, name, words)
    each = settings()[name]
    if not words and each.words[0] is SWITCH:
        words = (ON,)
    if not words:
        raise UsageError(f"set {name} to what? Expected {' or '.join(choices(name)) or 'a value'}")
    return _with(now, name, value_of(name, " ".join(words)))


def value_of(name: str, word: str) -> Any:
    """What a setting that is no table is if it is set to a word. Raises UsageError."""
    each = settings()[name]
    if each.choices and word not in each.choices:
        expected = " or ".join(map(repr, each.choices))
        raise UsageError(f"{name}: expected {expected}, not {word!r}", expected=each.choices, found=word)
    try:
        return each.words[0].read(word)
    except BadWord as error:
        raise UsageError(f"{name}: {error}") from None


def _entered(now: Settings, name: str, words: Sequence[str]) -> Settings:
    if len(words) < 2:
        raise UsageError(f"set which of the {name}, and to what? {settings()[name].help}")
    key, *rest = words
    check_entry(name, key)
    return _with(now, name, {**getattr(now, name), key: " ".join(rest)})


def check_entry(name: str, key: str) -> None:
    """Raises UsageError: a table has no place for an entry of that name."""
    from inspector import commands

    if name == "colors" and key not in tables()[name]:
        raise UsageError(f"there is no setting {name}.{key}: there are {', '.join(tables()[name])}")
    if name == "columns" and not (commands.is_command(key) and commands.load(key).chooses):
        raise UsageError(f"{name}: no command that answers with tables is called {key!r}")


def initially(now: Settings, name: str, key: str | None = None) -> Settings:
    """The settings with one, or one entry of a table, as it is where nothing is set.

    Raises:
        UsageError: a table has no such entry.
    """
    if key is None:
        return _with(now, name, initial(name))
    entries = dict(getattr(now, name)) if name in tables() else {}
    if key not in entries:
        raise UsageError(f"{name} has no entry {key!r}")
    del entries[key]
    first = tables()[name]
    return _with(now, name, {**entries, **({key: first[key]} if key in first else {})})


def _with(now: Settings, name: str, value: Any) -> Settings:
    return replace(now, **{name: value})


def shown(value: Any) -> str:
    """A value, as `set` takes it."""
    if isinstance(value, bool):
        return ON if value else OFF
    return AUTO if value is None else str(value)
