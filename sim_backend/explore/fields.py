"""A state as a row of 64-bit words: each key has a field, which holds the number of one of the values seen so far.

A key has no field before something else than its first value is stored there. A new field starts as zeros, and number 0
is the first value, so rows that were packed before stay right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sim_backend.explore.model import Key, Value

Rows = Any
"""An array of uint64, one row a state."""

WORD = 64
NARROW, WIDE = 3, 10
GROW = 2


def needed(count: int) -> int:
    """How many bits a field should have that has had so many values: a quarter more may come."""
    return max((count - 1 + count // 4).bit_length(), 1)


class Fields:
    """The fields of a model's states.

    Attributes:
        number: the field of a key, by key.
        keys, values: by field, its key, and the values that its numbers stand for.
        constants: the keys that steps took for constant, for they had no field.
        varying: those of them that have got a field: what was learnt of those steps is worth nothing.
        word, shift, mask: by field, where it lies.
        words: how many words a row has.
        layout: grows whenever fields move; rows must be given to `moved` then.
    """

    def __init__(self, initial: Callable[[Key], Value]) -> None:
        self._initial = initial
        self._first: dict[Key, Value] = {}
        self.number: dict[Key, int] = {}
        self.keys: list[Key] = []
        self.values: list[list[Value]] = []
        self.constants: set[Key] = set()
        self.varying: set[Key] = set()
        self.layout = 0
        self._numbers: list[dict[Value, int]] = []
        self._widths: list[int] = []
        self._groups: list[list[int]] = []
        self._place()

    def initial(self, key: Key) -> Value:
        """A key's first value."""
        try:
            return self._first[key]
        except KeyError:
            value = self._first[key] = self._initial(key)
            return value

    def add(self, key: Key) -> int:
        """Give a key a field; returns its number."""
        number = self.number.get(key)
        if number is None:
            if key in self.constants:
                self.varying.add(key)
            number = self.number[key] = len(self.keys)
            first = self.initial(key)
            self.keys.append(key)
            self.values.append([first])
            self._numbers.append({first: 0})
            self._widths.append(WIDE if isinstance(first, tuple) else NARROW)
            if self._groups:
                min(self._groups, key=self._width).append(number)
            self._place()
        return number

    def intern(self, field: int, value: Value) -> int:
        """The number of a value in a field."""
        numbers = self._numbers[field]
        number = numbers.get(value)
        if number is None:
            number = numbers[value] = len(numbers)
            self.values[field].append(value)
            if number >> self._widths[field]:
                self._widths[field] += GROW
                self._place()
        return number

    def make_room(self) -> None:
        """Widen the fields in which less than half of the numbers are free, so that they need not move again soon; not
        once they are arranged."""
        if self._groups:
            return
        widths = [
            max(width, len(values).bit_length() + 1) for width, values in zip(self._widths, self.values, strict=True)
        ]
        if widths != self._widths:
            self._widths = widths
            self._place()

    @property
    def arranged(self) -> bool:
        """Whether they lie in groups, each in one word."""
        return len(self._groups) == self.words

    def arrange(self, groups: Sequence[Sequence[int]]) -> None:
        """Put the fields of each group into a word of their own, as far as they fit, and let them have few bits more
        than they need."""
        self._groups = [list(group) for group in groups]
        self._widths = [needed(len(values)) for values in self.values]
        self._place()

    def extract(self, rows: Rows, field: int) -> Any:
        """A field of rows, as numbers."""
        return rows[..., self.word[field]] >> self.shift[field] & self.mask[field]

    def pack(self, changes: Sequence[dict[int, int]]) -> tuple[Rows, Rows]:
        """What changes of fields to these numbers do to rows: the bits that each clears, and those that it sets."""
        clear, bits = (np.zeros((len(changes), self.words), np.uint64) for _ in range(2))
        which = np.repeat(np.arange(len(changes)), [len(numbers) for numbers in changes])
        field = np.array([field for numbers in changes for field in numbers], np.intp)
        number = np.array([number for numbers in changes for number in numbers.values()], np.uint64)
        place = which, self.word[field]
        np.bitwise_or.at(clear, place, self.mask[field] << self.shift[field])
        np.bitwise_or.at(bits, place, number << self.shift[field])
        return clear, bits

    def placement(self) -> tuple[Any, Any, Any, int]:
        """Where the fields lie now, for `moved`."""
        return self.word, self.shift, self.mask, self.words

    def moved(self, rows: Rows, before: tuple[Any, Any, Any, int]) -> Rows:
        """Rows that were packed when fields lay elsewhere."""
        word, shift, mask, _ = before
        new = np.zeros((len(rows), self.words), np.uint64)
        for field in range(len(word)):
            numbers = rows[:, word[field]] >> shift[field] & mask[field]
            new[:, self.word[field]] |= numbers << self.shift[field]
        return new

    def _width(self, group: Sequence[int]) -> int:
        return sum(self._widths[field] for field in group)

    def _place(self) -> None:
        # Wide ones first: what is left of a word is filled by narrow ones.
        groups = self._groups or [list(range(len(self._widths)))]
        room: list[int] = []
        places = [(0, 0)] * len(self._widths)
        for group in groups:
            own = len(room)
            for field in sorted(group, key=lambda field: -self._widths[field]):
                width = self._widths[field]
                chosen = next((n for n in range(own, len(room)) if room[n] >= width), None)
                if chosen is None:
                    chosen = len(room)
                    room.append(WORD)
                places[field] = chosen, WORD - room[chosen]
                room[chosen] -= width
        self.words = max(len(room), 1)
        self.word = np.array([word for word, _ in places], np.intp)
        self.shift = np.array([shift for _, shift in places], np.uint64)
        self.mask = np.array([(1 << width) - 1 for width in self._widths], np.uint64)
        self.layout += 1
