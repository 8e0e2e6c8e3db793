"""The states of a compiled search: a tree of numbered sets in place of rows. See `numbered`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sim_backend.explore import numbered
from sim_backend.explore.fields import Rows
from sim_backend.explore.numbered import ABOUT, LIMIT, LINE, NUMBERS, SIZE, SLOTS, VALUES, Sets
from sim_backend.explore.pages import Pages
from sim_backend.explore.states import AT_ONCE
from sim_backend.explore.threads import spread, undisturbed
from structs.frozen import frozen

FULL = 0.8
"""A set grows before more of its slots are taken,"""
GROWTH, LARGE = 1.4, 1 << 18
"""by this much; to twice as many slots before it is that large."""
SPRAWLING = 4
"""Fields had better be arranged anew when all sets but the root have more than a part of this of its values."""
FEW = 1 << 12
MANY = 1 << 18
"""So many values at once are entered into new slots by a thread."""
SAMPLE = 1 << 14
VALUE, NUMBER = 64, 31
"""A value has so many bits, a number at most."""
ROOM = 512
"""Of each set so many numbers more, at least, are to fit into the values of the set above."""


@frozen
class Shape:
    """Which sets there are: those of words first, then the others, the root last. By set but the root: the one above,
    where in its values numbers stand, and how many bits they have."""

    up: tuple[int, ...]
    shift: tuple[int, ...]
    bits: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many sets there are."""
        return len(self.up) + 1


class CompressedStates:
    """The states that a search has found, as `states.States` has them, in a quarter of the memory.

    Args:
        parent: of the first states, the one that each was first reached from.
        folder: where states go that memory shall not hold; None: nowhere.
        threads: how many may work on them at once.
    """

    def __init__(self, words: int, shape: Shape, parent: Any, folder: Path | None = None, threads: int = 1) -> None:
        self.parent = parent
        self._words, self._shape, self._folder, self._threads = words, shape, folder, threads
        count = shape.count
        up = np.array([*shape.up, count], np.int64)
        about, counts = np.zeros((count, len(ABOUT)), np.int64), np.zeros((count, LINE), np.int64)
        self.sets = Sets(about, counts, up, *_places(shape), words)
        self._shaped_at, self._room = FEW, ROOM
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
    def sprawling(self) -> bool:
        """Whether the words have so many values that it would be worth it to arrange fields anew."""
        return int(self.sets.counts[:-1, 0].sum()) * SPRAWLING > self.count > 2 * self._shaped_at

    @property
    def rows(self) -> _Opened:
        """The rows of states, to be taken by number, slice or array."""
        return _Opened(self)

    def add(self, rows: Rows, parent: Any = None) -> None:
        """Add the rows that are new. What they come after is not noted."""
        done, rows = 0, np.ascontiguousarray(rows)
        while done < len(rows):
            self.make_room(numbered.TOGETHER)
            done = numbered.add(self.sets, rows, done)

    def find(self, rows: Rows) -> Any:
        """The states that these rows are, -1 for what is none."""
        found = np.empty(len(rows), np.int64)
        numbered.find(self.sets, np.ascontiguousarray(rows), found)
        return found

    def make_room(self, room: int) -> None:
        """Let every set that has no room for so many more values, and one, grow."""
        self._room = max(self._room, room)
        need = self.sets.counts[:, 0] + room + 1
        if (need > self.sets.about[:, LIMIT]).any():
            undisturbed(partial(self._make_room, room))

    def _make_room(self, room: int) -> None:
        need = self.sets.counts[:, 0] + room + 1
        if (need[:-1].astype(np.uint64) > self.sets.mask[:-1]).any():
            self._reshape()
            need = self.sets.counts[:, 0] + room + 1
        for which in np.flatnonzero(need > self.sets.about[:, LIMIT]).tolist():
            size = int(self.sets.about[which, SIZE])
            size = 2 * size if size < LARGE else int(size * GROWTH)
            self._refill(which, max(int(need[which] / FULL) + FEW, size))

    def _refill(self, which: int, size: int) -> None:
        # The slots are made anew from the values; they need not be there twice.
        self._slots[which] = None  # type: ignore[call-overload]
        self._slots[which] = self._give_slots(which, size)
        count = int(self.sets.counts[which, 0])
        if self._threads == 1 or count < MANY:
            numbered.refill(self.sets.about, which, 0, count)
        else:
            refill = partial(numbered.refill, self.sets.about, which)
            deque(spread(refill, 0, count, MANY, self._threads), 0)

    def _reshape(self) -> None:
        """Let numbers have other places, for one has no room in its place any more."""
        words = self.sets.words
        sample = self.rows[:: max(1, self.count // SAMPLE)]
        shape = shape_for(sample, self.sets.counts[:words, 0].tolist(), self._room)
        if shape.up != self._shape.up:
            self.__dict__ |= self._in_shape(shape, lambda rows: rows, words).__dict__
            return
        shift, mask = _places(shape)
        for which in range(words, shape.count):
            numbered.recode(self.sets, which, shift)
            self._refill(which, int(self.sets.about[which, SIZE]))
        self._shape = shape
        self.sets.shift[:], self.sets.mask[:] = shift, mask
        for which in range(shape.count):
            self._set_limit(which)

    def moved(self, move: Callable[[Rows], Rows], words: int) -> CompressedStates:
        """The same states, by the same numbers, with rows of so many words, which `move` makes of theirs.

        It moves fields, each by itself: what becomes of a row is what becomes of its words, together.
        """
        if words == self.sets.words:
            new = [move(self._alone(word)) for word in range(words)]
            if not any(np.delete(rows, word, axis=1).any() for word, rows in enumerate(new)):
                for word, rows in enumerate(new):
                    numbered.replace(self.sets.about, word, np.ascontiguousarray(rows[:, word]))
                    self._refill(word, int(self.sets.about[word, SIZE]))
                return self
        sample = move(self.rows[:: max(1, self.count // SAMPLE)])
        return self._in_shape(shape_for(sample, room=self._room), move, words)

    def _alone(self, word: int) -> Rows:
        """Rows with each value of a word, and nothing else."""
        values = np.empty(int(self.sets.counts[word, 0]), np.uint64)
        numbered.values(self.sets.about, word, values)
        rows = np.zeros((len(values), self.sets.words), np.uint64)
        rows[:, word] = values
        return rows

    def _in_shape(self, shape: Shape, move: Callable[[Rows], Rows], words: int) -> CompressedStates:
        """As `moved`, and these are of no use any more: the values of the root are replaced where they are, as they are
        most of the memory."""
        count = self.count
        size = max(int(self.sets.about[-1, SIZE]), int((count + self._room + 1) / FULL) + FEW)
        self._slots[-1] = Pages(1)
        self._values[-1].grow(_values_of(size))
        self.sets.about[-1, VALUES] = self._values[-1].address
        new = CompressedStates(words, shape, self.parent, self._folder, self._threads)
        new._shaped_at, new._room = count, self._room
        new._values[-1] = self._values[-1]
        new._set_size(shape.count - 1, size)
        for start in range(0, count, AT_ONCE):
            rows, done = np.ascontiguousarray(move(self.rows[start : min(start + AT_ONCE, count)])), 0
            while done < len(rows):
                new.make_room(numbered.TOGETHER)
                done = numbered.replace_states(new.sets, rows, start, done)
                new.sets.counts[-1, 0] = start + done
        new._refill(new._shape.count - 1, size)
        return new

    def _give_slots(self, which: int, size: int) -> Pages:
        pages = Pages(4 * size)
        self._values[which].grow(_values_of(size))
        self.sets.about[which, SLOTS] = pages.address
        self._set_size(which, size)
        return pages

    def _set_size(self, which: int, size: int) -> None:
        about = self.sets.about
        about[which, SIZE], about[which, VALUES] = size, self._values[which].address
        about[which, NUMBERS] = (1 << size.bit_length()) - 1
        self._set_limit(which)

    def _set_limit(self, which: int) -> None:
        """Neither may its slots become too full, nor a number too large for its place in the set above."""
        most = int(self.sets.about[which, SIZE] * FULL)
        above = int(self.sets.mask[which]) or most
        self.sets.about[which, LIMIT] = min(most, above)


def _values_of(slots: int) -> int:
    """Bytes for the values of a set with so many slots."""
    return 8 * (int(slots * FULL) + 1)


def _places(shape: Shape) -> tuple[Any, Any]:
    """By set, where its numbers stand in values of the one above, and their bits there (before the shift)."""
    shift, mask = np.zeros(shape.count, np.uint64), np.zeros(shape.count, np.uint64)
    shift[:-1], mask[:-1] = shape.shift, [(1 << bits) - 1 for bits in shape.bits]
    return shift, mask


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
        numbered.rows(states.sets, numbers.ravel(), found)
        return found.reshape((*numbers.shape, states.sets.words))


def compressed(rows: Rows, parent: Any, folder: Path | None = None, threads: int = 1) -> CompressedStates:
    """States, all different, compressed; `parent` by state."""
    shape = shape_for(rows[:: max(1, len(rows) // SAMPLE)])
    states = CompressedStates(rows.shape[1], shape, parent[: len(rows)], folder, threads)
    states.add(rows)
    states._shaped_at = states.count
    return states


def shape_for(rows: Rows, counts: list[int] | None = None, room: int = ROOM) -> Shape:
    """The sets for states of which some `rows` (of shape (N, words)) are known: as few as there can be.

    If not all numbers fit into one value, sets are joined whose values come together seldom in many ways. `counts`: how
    many values each word is known to have; `room`: how many more come at once.
    """
    codes = [np.unique(rows[:, word], return_inverse=True)[1].astype(np.int64) for word in range(rows.shape[1])]
    known = [int(code.max(initial=0)) + 1 for code in codes]
    need = [min((2 * max(pair) + room).bit_length(), NUMBER) for pair in zip(known, counts or known, strict=True)]
    up, shift, bits = ([0] * len(codes) for _ in range(3))
    left = sorted(range(len(codes)), key=lambda which: int(codes[which].max(initial=0)))
    while sum(need[which] for which in left) > VALUE:
        joined = [left.pop(0)]
        code = codes[joined[0]]
        while sum(need[which] for which in left) + NUMBER > VALUE:
            fit = [which for which in left if need[which] + sum(need[each] for each in joined) <= VALUE]
            if not fit:
                break
            ways = {which: np.unique(code << 32 | codes[which], return_inverse=True)[1] for which in fit}
            best = min(fit, key=lambda which: int(ways[which].max()))
            code = ways[best].astype(np.int64)
            left.remove(best)
            joined.append(best)
        _join(joined, need, len(codes), up, shift, bits)
        left.append(len(codes))
        codes.append(code)
        need.append(NUMBER)
        for each in (up, shift, bits):
            each.append(0)
    if len(codes) > 1:
        _join(left, need, len(codes), up, shift, bits)
        return Shape(tuple(up), tuple(shift), tuple(bits))
    return Shape((), (), ())


def _join(parts: list[int], need: list[int], above: int, up: list[int], shift: list[int], bits: list[int]) -> None:
    """Share out the bits of the values of the set above."""
    spare, start = (VALUE - sum(need[which] for which in parts)) // len(parts), 0
    for which in parts:
        up[which], shift[which] = above, start
        bits[which] = min(need[which] + spare, NUMBER)
        start += bits[which]
