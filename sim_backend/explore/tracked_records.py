"""State and actors whose declared fields are a view's: fields of one part share a key of it.

The classes are made from the fields that the state and the actors declare (`sim_backend.logic.kinds`): there is nothing
to be added here for a new one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from sim_backend.explore.model import Key
from sim_backend.explore.view import Shared, View
from sim_backend.logic.kinds import Held, Kind, held_fields

T = TypeVar("T")
Part = tuple[Held, ...]


class Shown:
    """The state that is shown now.

    Attributes:
        view: the state.
        token: what tells it from those that were shown before.
        opened: by key, whose part of it was opened to be changed.
    """

    __slots__ = ("opened", "token", "view")

    view: View

    def __init__(self) -> None:
        self.show(None)

    def show(self, view: View | None) -> None:
        """Show another one."""
        if view is not None:
            self.view = view
        self.token = object()
        self.opened: dict[Key, tuple[Tracked | Items, int]] = {}

    def store(self) -> None:
        """Have the view take what has changed."""
        for key, (record, part) in self.opened.items():
            self.view[key] = record.frozen(part)


def parts_of(kind: type) -> tuple[Part, ...]:
    """The fields of a record that a search has, by part, but for those whose items have keys of their own."""
    found: dict[str, list[Held]] = {}
    for each in held_fields(kind):
        if each.searched and not each.each:
            found.setdefault(each.part, []).append(each)
    return tuple(map(tuple, found.values()))


def frozen_part(record: object, part: Part) -> Hashable:
    """A part of a record as its key's value: of one field that, of several all of them."""
    values = tuple(each.kind.freeze(getattr(record, each.name)) for each in part)
    return values[0] if len(part) == 1 else values


def put_part(record: object, part: Part, value: Hashable) -> None:
    """The inverse of `frozen_part`."""
    values = (value,) if len(part) == 1 else value
    assert isinstance(values, tuple)
    for each, frozen in zip(part, values, strict=True):
        setattr(record, each.name, each.kind.thaw(frozen))


class Tracked:
    """What makes a record one whose fields are a view's. Its class is made by `tracked_type`."""

    if not TYPE_CHECKING:
        # A class with slots of its own cannot stand beside that of the record.
        __slots__ = ()

    _shown: Shown
    _kind: type
    _fields: tuple[Part, ...]
    _kinds: tuple[tuple[Kind[Any], ...], ...]
    _parts: list[list[Any]]
    _tokens: list[object]
    keys: tuple[Key, ...]

    def attach(self, name: str, shown: Shown) -> None:
        """Be the record of that name in the state that is shown."""
        self._shown = shown
        self._parts = [[] for _ in self._fields]
        self._tokens = [None] * len(self._fields)
        self.keys = tuple((name, part[0].part) for part in self._fields)
        for each in held_fields(self._kind):
            if each.each:
                setattr(self, f"_{each.name}", Items(name, each, shown))

    def opened(self, part: int) -> list[Any]:
        """The fields of a part, to be changed."""
        shown, key = self._shown, self.keys[part]
        shown.view.touch(key)
        if self._tokens[part] is not shown.token:
            value = shown.view[key]
            self._parts[part] = self._thawed(part, value)
            self._tokens[part] = shown.token
            shown.opened[key] = self, part
        return self._parts[part]

    def replace(self, part: int, value: object) -> None:
        """Store the only field of a part, which need not be read for that."""
        shown, key = self._shown, self.keys[part]
        shown.view.touch(key)
        self._parts[part], self._tokens[part] = [value], shown.token
        shown.opened[key] = self, part

    def frozen(self, part: int) -> Hashable:
        """A part as its key's value."""
        kinds, values = self._kinds[part], self._parts[part]
        if len(kinds) == 1:
            return kinds[0].freeze(values[0])
        frozen = [kind.freeze(value) for kind, value in zip(kinds, values, strict=True)]
        return self.settled(part, tuple(frozen))

    def settled(self, part: int, values: tuple[Any, ...]) -> Hashable:
        """A part of several fields, without what nobody reads any more."""
        return values

    def keep(self) -> list[tuple[int, Hashable]]:
        """It as far as it has been read or changed, for `restore`."""
        token = self._shown.token
        return [(part, self.frozen(part)) for part in range(len(self._fields)) if self._tokens[part] is token]

    def restore(self, kept: list[tuple[int, Hashable]]) -> None:
        """Go back to what was kept."""
        for part, value in kept:
            self._parts[part] = self._thawed(part, value)

    def _thawed(self, part: int, value: Any) -> list[Any]:
        kinds = self._kinds[part]
        if len(kinds) == 1:
            return [kinds[0].thaw(value)]
        return [each if kind.immutable else kind.thaw(each) for kind, each in zip(kinds, value, strict=True)]


class Items:
    """A list of which each item has a key of its own."""

    __slots__ = ("_kind", "_name", "_parts", "_record", "_shown", "_tokens")

    def __init__(self, record: str, field: Held, shown: Shown) -> None:
        item: Kind[Any] = field.kind.item  # type: ignore[attr-defined]
        self._record, self._name, self._kind, self._shown = record, field.part, item, shown
        self._parts: dict[int, Any] = {}
        self._tokens: dict[int, object] = {}

    def key(self, place: int) -> Key:
        """The key of an item."""
        return self._record, self._name, place

    def __getitem__(self, place: int) -> Any:
        shown, key = self._shown, self.key(place)
        if self._kind.immutable:
            return self._kind.thaw(shown.view[key])
        shown.view.touch(key)
        if self._tokens.get(place) is not shown.token:
            self._parts[place] = self._kind.thaw(shown.view[key])
            self._tokens[place] = shown.token
            shown.opened[key] = self, place
        return self._parts[place]

    def __setitem__(self, place: int, value: Any) -> None:
        assert self._kind.immutable
        self._shown.view[self.key(place)] = self._kind.freeze(value)

    def frozen(self, place: int) -> Hashable:
        """An item as its key's value."""
        return self._kind.freeze(self._parts[place])

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"{self._name}: who reads one does not read all; take them one by one")


_TYPES: dict[tuple[type, type, bool], type] = {}


def tracked(record: T, name: str, shown: Shown, by: type[Tracked] = Tracked, written_by_others: bool = False) -> Any:
    """A record of the same class whose declared fields are the shown state's.

    Args:
        name: of the record in the state.
        by: how its class is tracked.
        written_by_others: whether others store to it at any time: then a step that is to stay among its own must not.
    """
    kind = type(record)
    made = tracked_type(kind, by, written_by_others)
    other = object.__new__(made)
    searched = {each.name for each in held_fields(kind) if each.searched}
    for each in fields(kind):  # type: ignore[arg-type]
        if each.name not in searched:
            setattr(other, each.name, getattr(record, each.name))
    other.attach(name, shown)
    return other


def tracked_type(kind: type, by: type[Tracked], written_by_others: bool) -> type[Any]:
    """The class of tracked records of a class."""
    known = _TYPES.get((kind, by, written_by_others))
    if known is None:
        parts = parts_of(kind)
        items = [each.name for each in held_fields(kind) if each.each]
        body: dict[str, Any] = {
            "__slots__": ("_parts", "_shown", "_tokens", "keys", *(f"_{name}" for name in items)),
            "_fields": parts,
            "_kind": kind,
            "_kinds": tuple(tuple(each.kind for each in part) for part in parts),
        }
        for number, part in enumerate(parts):
            for at, each in enumerate(part):
                body[each.name] = _property(number, at, len(part) == 1, written_by_others)
        for name in items:
            body[name] = property(_items_of(f"_{name}"))
        known = _TYPES[kind, by, written_by_others] = type(f"Tracked{kind.__name__}", (by, kind), body)
    return known


def _property(part: int, at: int, alone: bool, written_by_others: bool) -> property:
    def get(self: Tracked) -> Any:
        shown = self._shown
        if self._tokens[part] is shown.token and shown.view.own is None:
            return self._parts[part][at]
        return self.opened(part)[at]

    def put(self: Tracked, value: Any) -> None:
        if written_by_others and self._shown.view.own is not None:
            raise Shared(self.keys[part])
        if alone:
            self.replace(part, value)
        else:
            self.opened(part)[at] = value

    return property(get, put)


def _items_of(name: str) -> Any:
    def get(self: Tracked) -> Any:
        return getattr(self, name)

    return get
