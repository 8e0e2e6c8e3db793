"""Frozen dataclasses whose members may be read later, when somebody first asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

T = TypeVar("T", bound="Deferred")
Part = Callable[[], Mapping[str, Any]]
"""Reads members that are read together: their values by name, and perhaps those of members known before.

`absent`, if it is among them, is what turned out to be absent of these members: it is added to what was known.
"""


class Deferred:
    """What a dataclass derives from, under the decorator `deferrable`, so that `defer` can make one of it."""

    _defaults: ClassVar[Mapping[str, Any]] = {}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            part = self.__dict__.get("_parts", {}).get(name)
            if part is None:
                raise AttributeError(f"{type(self).__name__} has no {name!r}")
            self.__dict__.update(self._merged(part()))
            return self.__dict__[name]

    def has_read(self, name: str) -> bool:
        """Whether a member is known, so that asking for it reads nothing."""
        return name in self.__dict__

    def afresh(self) -> Self:
        """The same, of which nothing was asked yet: its `absent` tells of the parts that are asked for from here on.

        What was read is not read again. One that was made at once is itself.
        """
        if (groups := self.__dict__.get("_groups")) is None:
            return self
        parts = [(names, partial(self._again, names)) for names in groups]
        return defer(type(self), self.__dict__["_known"], parts, self.__dict__["_asked"])

    def but(self, **changes: Any) -> Self:
        """The same with other values of these members. What is not known yet is not read for it."""
        if "_groups" not in self.__dict__:
            return replace(self, **changes)  # type: ignore[type-var]
        members = {member.name for member in fields(self)}  # type: ignore[arg-type]
        made = object.__new__(type(self))
        # What was worked out of the members (cached properties) is worked out anew.
        kept = {name: value for name, value in self.__dict__.items() if name in members or name.startswith("_")}
        made.__dict__.update(kept, **changes)
        return made

    def _again(self, names: Sequence[str]) -> Mapping[str, Any]:
        """Members of one part, read now or before, and what was absent of them then."""
        values = {name: _afresh(getattr(self, name)) for name in names}
        return {**values, "absent": self.__dict__["_absent_of"].get(names[0], ())}

    def _merged(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a part read, with `absent` added to what was absent before."""
        absent = values.get("absent")
        if absent is None:
            return values
        for names in self.__dict__["_groups"]:
            if names[0] in values:
                self.__dict__["_absent_of"][names[0]] = absent
        return {**values, "absent": tuple(dict.fromkeys((*self.__dict__["absent"], *absent)))}

    def complete(self) -> Self:
        """The same, with every member read, but for those that are only read when somebody asks for them."""
        if parts := self.__dict__.get("_parts"):
            asked: frozenset[str] = self.__dict__["_asked"]
            for name in parts:
                if name not in asked:
                    getattr(self, name)
            self.__dict__["_parts"] = {name: part for name, part in parts.items() if name in asked}
        return self


def deferrable(kind: type[T]) -> type[T]:
    """Decorate a dataclass whose members may be deferred. Their defaults stay those of its constructor."""
    members = fields(kind)  # type: ignore[arg-type]
    kind._defaults = {member.name: member.default for member in members if member.default is not MISSING}
    for member in members:
        # A default in the class would be found before __getattr__ is asked.
        if member.name in kind.__dict__:
            delattr(kind, member.name)
    return kind


def defer(
    kind: type[T],
    known: Mapping[str, Any],
    parts: Sequence[tuple[Sequence[str], Part]],
    asked: frozenset[str] = frozenset(),
) -> T:
    """One of `kind` of which only `known` is known: each part reads the members named beside it, once.

    A member that is in neither has its default. `asked`: members that `complete` leaves alone.
    """
    made = object.__new__(kind)
    later = {name: read for names, read in parts for name in names}
    made.__dict__.update({name: value for name, value in kind._defaults.items() if name not in later}, **known)
    made.__dict__.update(_parts=later, _groups=[names for names, _ in parts], _known=known, _asked=asked, _absent_of={})
    return made


def _afresh(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Deferred):
        return tuple(each.afresh() for each in value)
    return value
