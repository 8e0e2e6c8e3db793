"""A state as one step sees it: what the step reads and what it changes is noted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sim_backend.explore.fields import Fields
from sim_backend.explore.model import Key, Value


class Shared(Exception):
    """A step that was to stay among its own would have touched something else."""


class View:
    """One state.

    Attributes:
        reads: field and number of what was read, in order; what has no field is not among it.
        constants: the keys without a field on whose being constant it depends what the step does.
        drawn: what `choose` returned, and out of how many.
        own: if not None, the only keys that may be touched; Shared is raised for others.
    """

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.reads: list[tuple[int, int]] = []
        self.constants: set[Key] = set()
        self.drawn: list[tuple[int, int]] = []
        self.own: Collection[Key] | None = None
        self._numbers: list[int] = []
        self._script: tuple[int, ...] = ()
        self._before: dict[Key, Value] = {}
        self._now: dict[Key, Value] = {}

    def show(self, row: Any, script: tuple[int, ...] = ()) -> None:
        """Begin with a state; `script` is what `choose` is to return first, it returns 0 after that."""
        fields = self.fields
        self._numbers = (row[fields.word] >> fields.shift & fields.mask).tolist() if fields.keys else []
        self._script = script
        self.reads, self.constants, self.drawn, self.own = [], set(), [], None
        self._before, self._now = {}, {}

    def __getitem__(self, key: Key) -> Any:
        if self.own is not None:
            self.touch(key)
        try:
            return self._now[key]
        except KeyError:
            pass
        fields = self.fields
        field = fields.number.get(key)
        if field is None:
            value = fields.initial(key)
            self.constants.add(key)
        else:
            number = self._numbers[field]
            self.reads.append((field, number))
            value = fields.values[field][number]
        self._now[key] = self._before[key] = value
        return value

    def __setitem__(self, key: Key, value: Value) -> None:
        if self.own is not None and key not in self.own and (key in self.fields.number or value != self[key]):
            raise Shared(key)
        self._now[key] = value

    def touch(self, key: Key) -> None:
        """Raises Shared if the key is not among the step's own; what never changes belongs to everybody."""
        if self.own is not None and key not in self.own:
            if key in self.fields.number:
                raise Shared(key)
            self.constants.add(key)

    def choose(self, number: int) -> int:
        """One of 0 .. number - 1; every one is tried."""
        if number <= 1:
            return 0
        place = len(self.drawn)
        chosen = self._script[place] if place < len(self._script) else 0
        self.drawn.append((chosen, number))
        return chosen

    def changes(self) -> dict[Key, Value]:
        """What the step stored that was not there before, by key."""
        changed = {}
        fields = self.fields
        for key, value in self._now.items():
            if key in self._before:
                if self._before[key] != value:
                    changed[key] = value
            elif key in fields.number or fields.initial(key) != value:
                changed[key] = value
            else:
                self.constants.add(key)
        return changed
