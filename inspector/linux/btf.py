"""BTF, the type information that a Linux carries in its own memory: of vmlinux, and of each module.

A table of some 100,000 types of unequal length is indexed as arrays; a type is decoded when it is asked for.

Source: kernel documentation, bpf/btf.rst; include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspector.base.errors import VtdpiError
from structs.frozen import frozen

MAGIC = 0xEB9F
VERSION = 1
HEADER = 24
START = MAGIC.to_bytes(2, "little") + bytes((VERSION, 0)) + HEADER.to_bytes(4, "little")
"""How each begins: magic, version, no flags, the header's length."""
_PARTS = struct.Struct("<IIII")
"""What follows: where the types are, their bytes, where the strings are, their bytes."""
LIMIT = 64 << 20
NAME_LIMIT = 512
TYPE = 12
"""Bytes of a type without what follows it, by its kind."""

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)
QUALIFIERS = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)
"""What only stands before another type."""

_KINDS = 20
_FIXED = np.zeros(32, np.int64)
_FIXED[[INT, VAR, DECL_TAG]] = 4
_FIXED[ARRAY] = 12
_EACH = np.zeros(32, np.int64)
_EACH[[STRUCT, UNION, DATASEC, ENUM64]] = 12
_EACH[[ENUM, FUNC_PROTO]] = 8
"""Bytes that follow a type: once, and for each of its members."""


class BtfError(VtdpiError):
    """What should be BTF and is none, or is damaged."""


@frozen
class Member:
    """A member of a structure: its name, its type's number, where it begins in bits, and its width if a bit-field."""

    name: str
    type: int
    bit: int
    width: int


@frozen
class Type:
    """A type: its kind, its name (empty if it has none), and its size in bytes or the number of the type that it is of.

    `flag` is `kind_flag`: members' places hold widths too. `at` is where what follows it begins.
    """

    number: int
    kind: int
    name: str
    size: int
    count: int
    flag: bool
    at: int


class Btf:
    """The types in these bytes.

    Args:
        raw: header and all.
        base: of vmlinux, for a module's, whose numbers and strings go on from there.

    Raises:
        BtfError: it is none, or no type of it can be told.
    """

    def __init__(self, raw: bytes, base: Btf | None = None) -> None:
        if not raw.startswith(START) or len(raw) < HEADER:
            raise BtfError(f"no BTF: expected {START.hex()}, found {raw[:8].hex() or 'nothing'}")
        types_at, types, strings_at, strings = _PARTS.unpack_from(raw, len(START))
        end = HEADER + max(types_at + types, strings_at + strings)
        if types_at % 4 or types % 4 or end > len(raw):
            raise BtfError(f"the BTF of {len(raw)} bytes is damaged: its header tells of {end}")
        self.base = base
        self._raw = raw
        self._types_at = HEADER + types_at
        self._words = np.frombuffer(raw, "<u4", types // 4, self._types_at)
        self._strings = raw[HEADER + strings_at : HEADER + strings_at + strings]
        self._first = base.end if base else 1
        self._first_string = base.end_of_strings if base else 0
        self._starts, self.cut = _starts(self._words)
        """The word that each type begins with; and why they end early, empty if they do not."""
        if not len(self._starts):
            raise BtfError(f"the BTF tells of no type{self.cut and ': '}{self.cut}")

    @property
    def end(self) -> int:
        """The number after the last type's."""
        return self._first + len(self._starts)

    @property
    def end_of_strings(self) -> int:
        """Where the strings of a module's go on."""
        return self._first_string + len(self._strings)

    def type(self, number: int) -> Type:
        """The type of that number. Raises BtfError if there is none."""
        if number < self._first and self.base:
            return self.base.type(number)
        if not self._first <= number < self.end:
            raise BtfError(f"the BTF has no type {number}: there are {self.end}")
        at = int(self._starts[number - self._first])
        name, info, size = self._words[at : at + 3].tolist()
        kind, count, flag = info >> 24 & 31, info & 0xFFFF, bool(info >> 31)
        return Type(number, kind, self.string(name), size, count, flag, self._types_at + 4 * at + TYPE)

    def string(self, at: int) -> str:
        """The string that begins there. Raises BtfError if none does."""
        if at < self._first_string and self.base:
            return self.base.string(at)
        at -= self._first_string
        end = self._strings.find(b"\0", at, at + NAME_LIMIT)
        if at < 0 or end < 0:
            raise BtfError(f"the BTF has no string at {at}")
        return self._strings[at:end].decode("ascii", "backslashreplace")

    def members(self, of: Type) -> Iterator[Member]:
        """The members of a structure or union."""
        owner = self if of.number >= self._first or not self.base else self.base
        for name, kind, place in np.frombuffer(owner._raw, "<u4", 3 * of.count, of.at).reshape(-1, 3).tolist():
            width, bit = (place >> 24, place & 0xFFFFFF) if of.flag else (0, place)
            yield Member(self.string(name), kind, bit, width)

    def array(self, of: Type) -> tuple[int, int]:
        """The type of an array's elements, and how many there are."""
        owner = self if of.number >= self._first or not self.base else self.base
        element, _, count = np.frombuffer(owner._raw, "<u4", 3, of.at).tolist()
        return element, count

    def plain(self, number: int) -> Type:
        """The type of that number, looked at through typedefs and qualifiers. Raises BtfError if there is none."""
        for _ in range(64):
            found = self.type(number)
            if found.kind not in QUALIFIERS:
                return found
            number = found.size
        raise BtfError(f"the BTF's type {number} is only names of itself")

    def all_named(self, name: str, kinds: tuple[int, ...] = (STRUCT, UNION)) -> Iterator[Type]:
        """The types of that name and of one of these kinds, a module's own first."""
        for place in self._places(name):
            here = np.flatnonzero((self._names == place) & np.isin(self._of_kind, kinds))
            yield from (self.type(self._first + at) for at in here.tolist())
        if self.base:
            yield from self.base.all_named(name, kinds)

    def named(self, name: str, kinds: tuple[int, ...] = (STRUCT, UNION)) -> Type | None:
        """The first type of that name and of one of these kinds; None if there is none."""
        return next(self.all_named(name, kinds), None)

    def _places(self, name: str) -> Iterator[int]:
        """Where a string that is this one begins, counted as types count; a module may name one of its base's."""
        wanted = b"\0" + name.encode() + b"\0"
        of: Btf | None = self
        while of:
            if (at := of._strings.find(wanted)) >= 0:
                yield of._first_string + at + 1
            of = of.base

    @cached_property
    def _names(self) -> NDArray[np.uint32]:
        return self._words[self._starts]

    @cached_property
    def _of_kind(self) -> NDArray[Any]:
        return self._words[self._starts + 1] >> np.uint32(24) & np.uint32(31)


def size_at(head: bytes) -> int | None:
    """How many bytes the BTF has that begins with these HEADER ones; None if none does."""
    if len(head) < HEADER or not head.startswith(START):
        return None
    types_at, types, strings_at, strings = _PARTS.unpack_from(head, len(START))
    end = HEADER + max(types_at + types, strings_at + strings)
    return end if types and end <= LIMIT else None


def _starts(words: NDArray[np.uint32]) -> tuple[NDArray[np.int64], str]:
    """The words that types begin with, and why they end before the last word; empty if they do not."""
    info = words[1:]
    kind = info >> np.uint32(24) & np.uint32(31)
    size = (TYPE + _FIXED[kind] + _EACH[kind] * (info & np.uint32(0xFFFF)) >> 2).astype(np.int32)
    size[(kind == 0) | (kind >= _KINDS)] = 0
    step = memoryview(size)
    found: list[int] = []
    at, end = 0, len(words) - 2
    while at < end:
        length = step[at]
        if not length:
            return np.array(found, np.int64), f"type {len(found) + 1} is of an unknown kind, {int(kind[at])}"
        found.append(at)
        at += length
    if at != len(words) and found:
        # The last one is not whole.
        return np.array(found[:-1], np.int64), f"type {len(found)} is not whole"
    return np.array(found, np.int64), ""
