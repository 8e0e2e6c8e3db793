"""A place in a command's JSON, named as jq names it.

>>> document = {"units": [{"index": 0, "entries": [{"index": 24, "vector": 81}, {"index": 25, "vector": 48}]}]}
>>> at(document, ".units[0].entries[index=25].vector")
48
>>> at(document, ".units[0].entries[#]")
2
"""

from __future__ import annotations

import json
import re
from typing import Any

from inspector.base.errors import UsageError

_STEP = re.compile(r"\.(?P<key>\w+)|\[(?P<position>-?\d+)\]|\[(?P<count>\#)\]|\[(?P<select>[^\]]*=[^\]]*)\]")


class PathError(Exception):
    """The document has no such place; says what is there instead."""


def at(document: Any, path: str) -> Any:
    """What the document has at a path.

    Args:
        document: decoded JSON.
        path: steps one after another: `.key`, `[position]`, `[key=value,...]` for the one element of a list that has
            these values, `[#]` for the number of elements. `.` is the whole document.

    Raises:
        UsageError: it is no path.
        PathError: the document has no such place.
    """
    if path == ".":
        return document
    end = 0
    steps = []
    for step in _STEP.finditer(path):
        if step.start() != end:
            break
        end = step.end()
        steps.append(step)
    if end != len(path) or not path:
        raise UsageError(f"{path!r} is no path, or ends in none; expected one such as .units[0].size")
    value = document
    for step in steps:
        value = _step(value, step, path[: step.start()] or ".")
    return value


def _step(value: Any, step: re.Match[str], so_far: str) -> Any:
    if key := step["key"]:
        if not isinstance(value, dict):
            raise PathError(f"no key {key!r}: {so_far} is {_kind(value)}")
        if key not in value:
            raise PathError(f"no key {key!r} in {so_far}; there are {', '.join(value) or 'none'}")
        return value[key]
    if not isinstance(value, list):
        raise PathError(f"no {step[0]}: {so_far} is {_kind(value)}, no list")
    if step["count"]:
        return len(value)
    if step["position"]:
        position = int(step["position"])
        if not -len(value) <= position < len(value):
            raise PathError(f"no element {position} in {so_far}, which has {len(value)}")
        return value[position]
    return _select(value, step["select"], so_far)


def _select(elements: list[Any], condition: str, so_far: str) -> Any:
    wanted = dict(part.partition("=")[::2] for part in condition.split(","))
    found = [
        element
        for element in elements
        if isinstance(element, dict) and all(k in element and _is(element[k], v) for k, v in wanted.items())
    ]
    if len(found) != 1:
        raise PathError(f"{len(found)} elements with {condition} among the {len(elements)} of {so_far}, not one")
    return found[0]


def _is(value: Any, word: str) -> bool:
    if isinstance(value, str):
        return value == word or (value.startswith("0x") and _as_number(word) == _as_number(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return value == _as_number(word)
    return json.dumps(value) == word


def _as_number(word: str) -> int | None:
    try:
        return int(word, 0)
    except ValueError:
        return None


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number")
