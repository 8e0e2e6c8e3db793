"""The user's configuration: a TOML file in the XDG place, and its commented default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from inspector.base import reading, xdg
from inspector.base.errors import TargetError
from structs.frozen import frozen

DEFAULT = """\
# The configuration of vtdpi's prompt, as it is without this file: {path}

# What shows an answer that is longer than the screen; "" for nothing. With -S, less scrolls sideways (arrow keys).
pager = "less -RSX"

# When the menu of completions opens: "typing", or "tab" for the Tab key only.
completion = "typing"

# Suggest the rest of a line from the history; the right arrow key takes it.
suggestions = true

# The keys: "emacs" or "vi".
keys = "emacs"

# The bar below the prompt: target, running or stopped, Xen's version, posted vectors.
bar = true

# Words of your own that stand for the beginning of a line.
[aliases]
# posted = "irt --posted"

# Colours, as prompt_toolkit writes styles: https://python-prompt-toolkit.readthedocs.io/en/stable/pages/advanced_topics/styling.html
[colors]
prompt = "bold"
command = "bold ansigreen"
unknown = "underline ansired"
option = "ansicyan"
value = ""
string = "ansiyellow"
pipe = "ansimagenta"
comment = "italic"
"""

LARGEST = reading.MIB
"""Bytes of the file."""


@frozen
class Config:
    """What the user has set; see DEFAULT for what each means."""

    pager: str
    completion: str
    suggestions: bool
    keys: str
    bar: bool
    aliases: Mapping[str, str] = field(default_factory=dict)
    colors: Mapping[str, str] = field(default_factory=dict)


CHOICES = {"completion": ("typing", "tab"), "keys": ("emacs", "vi")}


def path() -> Path:
    """Where the file is."""
    return xdg.config() / "config.toml"


def default() -> str:
    """The commented default."""
    return DEFAULT.format(path=path())


def load() -> Config:
    """The configuration of this user, the default where it says nothing.

    Raises:
        TargetError: the file is no TOML, or says what is no setting.
    """
    try:
        place = path()
        there = os.path.lexists(place)
    except xdg.NoHome:
        there = False
    return parse(reading.text(place, LARGEST), str(place)) if there else Config(**tomllib.loads(DEFAULT))


def parse(text: str, source: str) -> Config:
    """The configuration in a text. Raises TargetError if it is none; `source` names it in the message."""
    try:
        said = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TargetError(f"{source} is no TOML: {error}; `vtdpi config` prints one that is") from None
    except ValueError as error:
        raise TargetError(f"{source} has a number that is none: {error}") from None
    return Config(**_merged(tomllib.loads(DEFAULT), said, "", source))


def _merged(settings: dict[str, Any], said: dict[str, Any], table: str, source: str) -> dict[str, Any]:
    for name, value in said.items():
        known: Any = "" if table == "aliases" else settings.get(name)
        if known is None:
            raise TargetError(f"{source}: there is no setting {table}{'.' * bool(table)}{name}; see `vtdpi config`")
        if type(value) is not type(known) or value not in CHOICES.get(name, (value,)):
            expected = " or ".join(map(repr, CHOICES.get(name, ()))) or f"a {_KINDS[type(known)]}"
            raise TargetError(f"{source}: {name} is {value!r}; expected {expected}")
        settings[name] = _merged({**known}, value, name, source) if isinstance(value, dict) else value
    return settings


_KINDS = {str: "string", bool: "boolean (true or false)", dict: "table"}
