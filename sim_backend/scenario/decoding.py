"""What a file says, held against a type by msgspec: what does not fit is one line that says where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, TypeVar

import msgspec

from sim_backend.memory.errors import SimError

SHOWN = 200
"""Characters of what was found, in a message."""
BITS = 64
"""Of a number that is shown."""
WORDS = {
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
}
"""What msgspec calls them, and people do."""

T = TypeVar("T")
_MISSING = re.compile(r"Object missing required field `(.*)`$", re.DOTALL)
_TYPE = re.compile(r"`([a-z |]+)`")
_PLACE = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>.*)`$", re.DOTALL)
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def decoded(value: object, kind: type[T], where: str = "") -> T:
    """A value of a file as one of a type. Raises SimError; `where` it stands begins the message."""
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError as error:
        # JSON can say half of a character (`\ud800`), which is none.
        raise SimError(f"{where.rstrip('.')} {_shown(error.object)}: expected Unicode".lstrip()) from None
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        what, path = (found["what"], found["path"]) if found else (str(error), "")
        if missing := _MISSING.match(what):
            raise SimError(f"{where}{path}{'.' * bool(path)}{missing[1]} is missing") from None
        place, what = f"{where}{path}" if path else where.rstrip("."), short(_in_words(what))
        raise SimError(f"{place} = {_shown(_at(value, path))}: {what}" if place else what) from None


def table(value: object, kind: type[T], names: Collection[str], where: str = "") -> T:
    """A table of a file as one of a type whose keys have these names. Raises SimError."""
    known = decoded(value, dict[str, Any], where)
    if unknown := sorted(known.keys() - set(names)):
        key = unknown[0] if unknown[0].isprintable() else repr(unknown[0])
        raise SimError(f"{where}{short(key)}: no such key; there are {', '.join(names)}")
    return decoded(value, kind, where)


def short(text: str) -> str:
    """So much of a text as goes into a line."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _in_words(what: str) -> str:
    what = _TYPE.sub(_kinds, what.partition(", got ")[0])
    return what[0].lower() + what[1:]


def _kinds(found: re.Match[str]) -> str:
    return " or ".join(WORDS.get(kind, kind) for kind in found[1].split(" | ") if kind != "null")


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > BITS:
        return f"a number of {value.bit_length()} bits"
    try:
        return short(repr(value))
    except ValueError:
        # Of a number in it that has thousands of digits.
        return f"a {type(value).__name__}"


def _at(value: Any, path: str) -> Any:
    """What stands there; what holds it, if the path does not tell which of its members."""
    for key, index in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[key]
        except (LookupError, TypeError):
            break
    return value
