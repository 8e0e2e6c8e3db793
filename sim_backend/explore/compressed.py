"""The states of a compiled search: a tree of numbered sets in place of rows. See `kernels`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sim_backend.explore import kernels
from sim_backend.explore.fields import Rows
from sim_backend.explore.kernels import ABOUT, LIMIT, LINE, NUMBERS, SIZE, SLOTS, VALUES, Sets
from sim_backend.explore.pages import Pages
from sim_backend.explore.states import AT_ONCE

FULL = 0.8
"""A set grows before more of its slots are taken,"""
GROWTH = 1.2
"""by this much."""
SPREAD = 4
"""Another shape is looked for when all sets but the topmost hold more than a part of this of what that holds."""
FEW = 1 << 12
SAMPLE = 1 << 14
Shape = list[tuple[int, int]]


class CompressedStates:
    """The states that a search has found, as `states.States` has them, in a quarter of the memory.

    Args:
        shape: which sets are joined to pairs, in order (see `shape_for`).
        parent: of the first states, the one that each was first reached from.
        folder: where states go that memory shall not hold; None: nowhere.
    """

    def __init__(self, words: int, shape: Shape, parent: Any, folder: Path | None = None) -> None:
        self.parent = parent
        self._words, self._shape, self._folder = words, shape, folder
        count = words + len(shape)
        left, right = (np.array([0] * words + [pair[side] for pair in shape], np.int64) for side in (0, 1))
        self.sets = Sets(np.zeros((count, len(ABOUT)), np.int64), np.zeros((count, LINE), np.int64), left, right, words)
        self._shaped_at = FEW
        self._slots: list[Pages] = []
        self._values = [Pages(8 * FEW, folder if which == count - 1 else None) for which in range(count)]
        for which in range(count):
            self._slots.append(self._give_slots(which, FEW))

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.sets.counts[-1, 0])

    @property
    def bytes(self) -> int:
        """Memory that the states take, and room that was made for more."""
        values, slots = self.sets.counts[:, 0].sum() * 8, self.sets.about[:, SIZE].sum() * 4
        return int(values + slots + self.parent.nbytes)

    @property
    def rows(self) -> _Opened:
        """The rows of states, to be taken by number, slice or array."""
        return _Opened(self)

    def add(self, rows: Rows, parent: Any = None) -> None:
        """Add the rows that are new. What they come after is not noted."""
        done = 0
        while done < len(rows):
            done = kernels.add(self.sets, rows, done)
            self.make_room(0)

    def find(self, rows: Rows) -> Any:
        """The states that these rows are, -1 for what is none."""
        found = np.empty(len(rows), np.int64)
        kernels.find(self.sets, np.ascontiguousarray(rows), found)
        return found

    def make_room(self, room: int) -> None:
        """Let every set that has no room for so many more values, and one, grow."""
        if self._is_sprawling():
            self._reshape()
        for which in np.flatnonzero(self.sets.counts[:, 0] + room >= self.sets.about[:, LIMIT]).tolist():
            need = int((self.sets.counts[which, 0] + room + 1) / FULL)
            # The slots are made anew from the values; they need not be there twice.
            self._slots[which] = None  # type: ignore[call-overload]
            self._slots[which] = self._give_slots(which, max(need, int(self.sets.about[which, SIZE] * GROWTH)) + FEW)
            kernels.refill(self.sets.about, which, int(self.sets.counts[which, 0]))

    def _is_sprawling(self) -> bool:
        others = int(self.sets.counts[:-1, 0].sum())
        return others * SPREAD > self.count > 2 * self._shaped_at

    def _reshape(self) -> None:
        """Join other sets to pairs, as suits the states that there are now."""
        self._shaped_at = self.count
        if shape_for(self._sample(lambda rows: rows)) != self._shape:
            self.__dict__ |= self.moved(lambda rows: rows, self.sets.words).__dict__

    def _sample(self, move: Callable[[Rows], Rows]) -> Rows:
        return move(self.rows[:: max(1, self.count // SAMPLE)])

    def moved(self, move: Callable[[Rows], Rows], words: int) -> CompressedStates:
        """The same states, by the same numbers, with rows of so many words, which `move` makes of theirs."""
        new = CompressedStates(words, shape_for(self._sample(move)), self.parent, self._folder)
        new._shaped_at = self.count
        for start in range(0, self.count, AT_ONCE):
            new.add(move(self.rows[start : start + AT_ONCE]))
        return new

    def _give_slots(self, which: int, size: int) -> Pages:
        pages, about = Pages(4 * size), self.sets.about
        limit = int(size * FULL)
        self._values[which].grow(8 * (limit + 1))
        about[which, SLOTS], about[which, SIZE] = pages.address, size
        about[which, VALUES], about[which, LIMIT] = self._values[which].address, limit
        about[which, NUMBERS] = (1 << size.bit_length()) - 1
        return pages


class _Opened:
    """Rows that are put together when they are asked for."""

    def __init__(self, states: CompressedStates) -> None:
        self._states = states

    def __len__(self) -> int:
        return self._states.count

    def __getitem__(self, which: Any) -> Rows:
        states = self._states
        numbers = np.arange(*which.indices(states.count)) if isinstance(which, slice) else np.asarray(which, np.int64)
        found = np.empty((numbers.size, states.sets.words), np.uint64)
        kernels.rows(states.sets, numbers.ravel(), found)
        return found.reshape((*numbers.shape, states.sets.words))


def compressed(rows: Rows, parent: Any, folder: Path | None = None) -> CompressedStates:
    """States, all different, compressed; `parent` by state."""
    states = CompressedStates(
        rows.shape[1], shape_for(rows[:: max(1, len(rows) // SAMPLE)]), parent[: len(rows)], folder
    )
    states.add(rows)
    return states


def shape_for(rows: Rows) -> Shape:
    """Which sets to join, in order, so that few pairs come of it: always the two that have the fewest values in some
    rows (of shape (N, words)); a word is a set by its number, a pair by the number after all before."""
    codes = [np.unique(rows[:, word], return_inverse=True)[1].astype(np.int64) for word in range(rows.shape[1])]
    left = list(range(len(codes)))
    shape: Shape = []
    while len(left) > 1:
        left.sort(key=lambda which: int(codes[which].max(initial=0)))
        one, other, *left = left
        pair = codes[one] << 32 | codes[other]
        codes.append(np.unique(pair, return_inverse=True)[1].astype(np.int64))
        shape.append((one, other))
        left.append(len(codes) - 1)
    return shape
