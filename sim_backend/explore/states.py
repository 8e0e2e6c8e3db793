"""The set of the states that were found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sim_backend.explore.fields import Rows

FIRST_SLOTS = 1 << 16
FIRST_ROWS = 1 << 14
FULL = 2, 3
"""The table grows before so many of its slots are taken."""
AT_ONCE = 1 << 14
"""So many rows are packed again together: what is needed for that stays in the cache."""
MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)


def hashed(rows: Rows) -> Any:
    """A 64-bit number for each row; its upper bits are well mixed."""
    mixed = np.zeros(len(rows), np.uint64)
    for word in range(rows.shape[1]):
        mixed ^= rows[:, word]
        mixed *= np.uint64(MULTIPLIERS[word % len(MULTIPLIERS)])
        mixed ^= mixed >> np.uint64(29)
    return mixed * np.uint64(MULTIPLIERS[1])


class States:
    """Rows in the order in which they were found, each once. The table that finds them compares whole rows: two states
    are never taken for one.

    Args:
        words: of a row.

    Attributes:
        count: how many there are.
        rows, parent: by state, its row, and the state that it was first reached from.
    """

    def __init__(self, words: int) -> None:
        self.count = 0
        self.rows = np.zeros((FIRST_ROWS, words), np.uint64)
        self.parent = np.zeros(FIRST_ROWS, np.int32)
        self._slots = np.zeros(FIRST_SLOTS, np.int32)

    @property
    def bytes(self) -> int:
        """Memory that the states take."""
        return int(self.rows.nbytes + self.parent.nbytes + self._slots.nbytes)

    def add(self, rows: Rows, parent: Any) -> int:
        """Add the rows that are new; returns how many were."""
        before = self.count
        self._reserve(len(rows))
        slot = self._slot(rows)
        pending = np.arange(len(rows))
        last = len(self._slots) - 1
        while pending.size:
            at = slot.take(pending)
            found = self._slots.take(at)
            free, taken = np.flatnonzero(found == 0), np.flatnonzero(found)
            others = pending.take(taken)
            others = others[_differ(self.rows.take(found.take(taken) - 1, axis=0), rows.take(others, axis=0))]
            slot[others] = slot.take(others) + 1 & last
            if free.size:
                claims, places = pending.take(free), at.take(free)
                self._slots[places] = claims + 1
                won = self._slots.take(places) == claims + 1
                self._keep(places[won], claims[won], rows, parent)
                others = np.concatenate((claims[~won], others))
            pending = others
        return self.count - before

    def find(self, rows: Rows) -> Any:
        """The states that these rows are, -1 for what is none."""
        result = np.full(len(rows), -1, np.int64)
        slot = self._slot(rows)
        pending = np.arange(len(rows))
        last = len(self._slots) - 1
        while pending.size:
            found = self._slots.take(slot.take(pending))
            taken = np.flatnonzero(found)
            pending, found = pending.take(taken), found.take(taken) - 1
            different = _differ(self.rows.take(found, axis=0), rows.take(pending, axis=0))
            result[pending] = np.where(different, -1, found)
            pending = pending[different]
            slot[pending] = slot.take(pending) + 1 & last
        return result

    def moved(self, move: Callable[[Rows], Rows], words: int) -> States:
        """The same states, by the same numbers, with rows of so many words, which `move` makes of theirs."""
        rows = np.zeros((len(self.rows), words), np.uint64)
        for start in range(0, self.count, AT_ONCE):
            end = min(start + AT_ONCE, self.count)
            rows[start:end] = move(self.rows[start:end])
        self.rows = rows
        self._rehash(len(self._slots))
        return self

    def _keep(self, places: Any, winners: Any, rows: Rows, parent: Any) -> None:
        start, self.count = self.count, self.count + len(winners)
        self._slots[places] = np.arange(start + 1, self.count + 1)
        self.rows[start : self.count] = rows.take(winners, axis=0)
        self.parent[start : self.count] = parent.take(winners)

    def _slot(self, rows: Rows) -> Any:
        shift = 64 - (len(self._slots) - 1).bit_length()
        return (hashed(rows) >> np.uint64(shift)).astype(np.int64)

    def _reserve(self, more: int) -> None:
        need = self.count + more
        if need > len(self.rows):
            size = max(need, len(self.rows) * 3 // 2)
            for name in ("rows", "parent"):
                old = getattr(self, name)
                new = np.zeros((size, *old.shape[1:]), old.dtype)
                new[: self.count] = old[: self.count]
                setattr(self, name, new)
        size = len(self._slots)
        while need * FULL[1] > size * FULL[0]:
            size *= 2
        if size > len(self._slots):
            self._rehash(size)

    def _rehash(self, size: int) -> None:
        self._slots = np.zeros(size, np.int32)
        slot = self._slot(self.rows[: self.count])
        pending = np.arange(self.count)
        while pending.size:
            at = slot.take(pending)
            free = np.flatnonzero(self._slots.take(at) == 0)
            self._slots[at.take(free)] = pending.take(free) + 1
            pending = pending[self._slots.take(at) != pending + 1]
            # Those whose slot was free and went to another one try the next slot too: all rows differ.
            slot[pending] = slot.take(pending) + 1 & size - 1


def _differ(rows: Rows, others: Rows) -> Any:
    """Which rows are not those of the other array. Word by word: numpy is slow along short axes."""
    bits = rows[:, 0] ^ others[:, 0]
    for word in range(1, rows.shape[1]):
        bits |= rows[:, word] ^ others[:, word]
    return bits != 0
