"""Frozen dataclasses to JSON and back: tuples are arrays, bytes are hex, members with their default are left out.

A number is one of 64 bits and not negative, unless its type says otherwise: `Annotated[int, range(256)]`. One that
other programs would round is a string such as "0xffff830000000000".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from inspector.base.errors import TargetError
from inspector.model.hex_members import EXACT

T = TypeVar("T")
U64 = range(1 << 64)


def dumps(document: Mapping[str, Any]) -> str:
    """A JSON document of one line, for a file."""
    return json.dumps(document, separators=(",", ":"))


def loads(text: str, source: str) -> Any:
    """What a JSON document holds. Raises TargetError if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TargetError(f"{source} is no JSON document: {error}") from None


def plain(value: Any) -> Any:
    """A dataclass as what JSON has."""
    if is_dataclass(value):
        members = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: plain(member) for f, member in members if not _is_default(f, member)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return f"{value:#x}" if isinstance(value, int) and value > EXACT else value


def build(kind: type[T], value: Any, where: str) -> T:
    """The inverse of `plain`. Raises TargetError, with `where` and the member's name, for what does not fit."""
    builder: Callable[[Any], T] = _builder(kind)  # type: ignore[arg-type]
    try:
        return builder(value)
    except _Unlike as error:
        place = ", ".join((where, *reversed(error.place)))
        raise TargetError(f"{place}: {error}; the file is damaged") from None


class _Unlike(Exception):
    """A value that does not fit; `place` names the members that it is in, the inner ones first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.place: list[str] = []


def _is_default(f: Field[Any], value: Any) -> bool:
    return f.default is not MISSING and type(f.default) is type(value) and bool(f.default == value)


@cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    if get_origin(kind) is Annotated:
        return _number(get_args(kind)[1])
    if kind is int:
        return _number(U64)
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        some = _builder(next(part for part in get_args(kind) if part is not NoneType))
        return lambda value: None if value is None else some(value)
    if get_origin(kind) is tuple:
        item = _builder(get_args(kind)[0])
        return lambda value: tuple(map(item, _expect(list, value)))
    if kind is bytes:
        return _bytes
    if is_dataclass(kind):
        return _of_dataclass(kind)
    return partial(_expect, kind)


def _of_dataclass(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind, include_extras=True)
    members = {f.name: _builder(hints[f.name]) for f in fields(kind)}
    required = {f.name for f in fields(kind) if f.default is MISSING}

    def made(value: Any) -> Any:
        given = _expect(dict, value)
        if lost := sorted(required - given.keys()) or sorted(given.keys() - members.keys()):
            state = "lacks" if lost[0] in required else "has an unknown"
            raise _Unlike(f"a {kind.__name__} {state} {lost[0]!r}")
        built = {}
        for name, part in given.items():
            try:
                built[name] = members[name](part)
            except _Unlike as error:
                error.place.append(f"{kind.__name__}.{name}")
                raise
        return kind(**built)

    return made


def _number(values: range) -> Callable[[Any], int]:
    def made(value: Any) -> int:
        if type(value) is int and value in values:
            return value
        number: int = _expect(int, _of_hex(value))
        if number in values:
            return number
        raise _Unlike(f"expected {values.start} to {values.stop - 1:#x}, found {number:#x}")

    return made


def _of_hex(value: Any) -> Any:
    """The number that a string such as "0x10" says; anything else as it is."""
    try:
        return int(value, 16) if isinstance(value, str) and value.startswith("0x") else value
    except ValueError:
        return value


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(_expect(str, value))
    except ValueError:
        raise _Unlike("expected bytes in hex") from None


def _expect(kind: Any, value: Any) -> Any:
    if type(value) is not kind:
        raise _Unlike(f"expected {kind.__name__}, found {type(value).__name__}")
    return value
