"""The file in which a user's settings are kept: TOML in the XDG place; and its commented default."""

from __future__ import annotations

import json
import os
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inspector.base import new_file, reading, xdg
from inspector.base.errors import TargetError, UsageError
from inspector.shell import settings
from inspector.shell.settings import Settings

LARGEST = reading.MIB
"""Bytes of the file."""
WIDEST = 118
"""Columns of a comment."""


def path() -> Path:
    """Where the file is. Raises NoHome."""
    return xdg.config() / "config.toml"


def default() -> str:
    """A file that says what is so without one, with a comment on each setting."""
    return "\n".join(_default())


def _default() -> Iterator[str]:
    yield f"# The configuration of vtdpi's prompt, as it is without this file: {path()}"
    yield "# `vtdpi config NAME VALUE` changes one setting here, and `set NAME VALUE` at the prompt for that session."
    for name, each in settings.settings().items():
        choices = f" ({', '.join(each.choices)})" if each.choices else ""
        said = f"{each.help[:1].upper()}{each.help[1:]}{choices}"
        comment = textwrap.wrap(said, WIDEST, break_long_words=False, break_on_hyphens=False)
        value = settings.initial(name)
        yield ""
        yield from (f"# {line}" for line in comment)
        if isinstance(value, Mapping):
            yield f"[{name}]"
            yield from (f"{key} = {_toml(entry)}" for key, entry in value.items())
        else:
            yield f"{name} = {_toml(value)}"
    yield ""


def _toml(value: Any) -> str:
    return json.dumps(settings.AUTO if value is None else value, ensure_ascii=False)


def load() -> Settings:
    """The settings of this user; what the file does not say is as it is without one.

    Raises:
        TargetError: the file is no TOML, or says what is no setting.
    """
    try:
        place = path()
        there = os.path.lexists(place)
    except xdg.NoHome:
        there = False
    return parse(reading.text(place, LARGEST), str(place)) if there else Settings()


def parse(text: str, source: str) -> Settings:
    """The settings in a text. Raises TargetError if it has none; `source` names it in the message."""
    try:
        said = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TargetError(f"{source} is no TOML: {error}; `vtdpi config` prints one that is") from None
    except ValueError as error:
        raise TargetError(f"{source} has a number that is none: {error}") from None
    try:
        return Settings(**{name: _value(name, value) for name, value in said.items()})
    except UsageError as error:
        raise TargetError(f"{source}: {error}") from None


def _value(name: str, value: Any) -> Any:
    """What a setting is by the file. Raises UsageError."""
    if name not in settings.settings():
        raise UsageError(f"there is no setting {name}; see `vtdpi config`")
    if name in settings.tables():
        return _entries(name, value)
    kinds, choices = _kinds(name), settings.settings()[name].choices
    if type(value) not in kinds or (choices and value not in choices):
        expected = map(repr, choices) if choices else (_KINDS[kind] for kind in kinds)
        raise UsageError(f"{name} is {value!r}; expected {' or '.join(expected)}")
    return settings.value_of(name, settings.shown(value))


def _entries(name: str, value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{name} is {value!r}; expected a table")
    for key, entry in value.items():
        settings.check_entry(name, key)
        if not isinstance(entry, str):
            raise UsageError(f"{key} is {entry!r}; expected a string")
    return {**settings.tables()[name], **value}


def _kinds(name: str) -> tuple[type, ...]:
    """The types of TOML that a setting may have."""
    if isinstance(settings.initial(name), bool):
        return (bool,)
    return (str, int) if settings.settings()[name].words[0] is settings.WIDTH else (str,)


_KINDS = {str: "a string", bool: "a boolean (true or false)", int: "a number"}


def keep(now: Settings, name: str, key: str | None = None) -> Path:
    """Have the file say what a setting, or an entry of a table, is; all else in it stays. Where it is.

    Raises:
        TargetError: the file that is there is none that this could be added to.
        NotWritten: it cannot be written.
        NoHome: there is no place for it.
    """
    import tomlkit

    place = path()
    text = reading.text(place, LARGEST) if os.path.lexists(place) else ""
    parse(text, str(place))
    document: Any = tomlkit.parse(text)
    value = getattr(now, name)
    if key is None and not isinstance(value, Mapping):
        document[name] = settings.AUTO if value is None else value
    else:
        table = document.setdefault(name, tomlkit.table())
        for each in [key] if key is not None else {*table, *value}:
            _enter(table, each, value.get(each))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise new_file.NotWritten(f"{place.parent} cannot be made: {error.strerror}") from error
    # Where the user's file is a link, the file it leads to is written.
    new_file.write(place.resolve(), tomlkit.dumps(document))
    return place


def _enter(table: Any, key: str, value: str | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
