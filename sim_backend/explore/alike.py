"""Symmetry, compiled: of the states that renamings turn into each other the smallest. `symmetry` learns what they do.

What renamings make of a word is remembered by its value; a row is the sum of its words. Which of the rows is the
smallest is told by their keys, as a rule: the first fields in order, side by side in 64 bits, which are sums of what
stands for each word too. Of a state that comes after another one only the words that differ have to be looked up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim_backend.explore.atomics import bare, load, store
from structs.frozen import frozen

MOST_BITS, MOST_MEMORY = 13, 1 << 22
"""Of each place in a row as many words are remembered, at most: in so many bytes."""
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
KNOWN = np.uint64(1)
VALUE, KEYS = range(1, 3)
"""Where in an entry of the memo, after KNOWN, the word itself is, and the keys: its own, and one by renaming. After
these, by renaming, is the row that stands for it."""
NO_KEY = -1
COUNT, WORDS, FIELDS, SHIFT, FIRST, PARTS, ORDER, NUMBERS, MEMO, BEFORE, WHOLE, AFTER, ROW, RENAMED = ABOUT = range(14)
"""What a kernel finds at the address that it is given: how many renamings, words and fields there are, how far a hash
is to be shifted, and the addresses of what `Renamings` and `Memo` have."""
PART, TO = 3, 5
"""So many numbers a row of `Renamings.parts` has for its field, and for each renaming."""


@frozen
class Renamings:
    """A model's symmetries, as far as they are known.

    Attributes:
        count: how many there are.
        first: the fields of a word stand in `parts` from `first[word]` on.
        parts: of a field its shift, mask and shift in the key (NO_KEY: it is not in it); by renaming the word, shift
            and that in the key of the field in its place, where in `numbers` its values begin, how many are known.
        order: word, shift and mask of each field, in order.
        numbers: what values become.
    """

    count: int
    first: Any
    parts: Any
    order: Any
    numbers: Any

    @property
    def words(self) -> int:
        """How many a row has."""
        return len(self.first) - 1


class Memo:
    """What renamings make of words that were met, for one thread.

    Attributes:
        address: what kernels are given; 0 if there are no renamings.
    """

    def __init__(self, renamings: Renamings) -> None:
        count, words = renamings.count, renamings.words
        size = KEYS + count + 1 + count * words
        bits = max(1, min(MOST_BITS, (MOST_MEMORY // (8 * size * words)).bit_length() - 1)) if count else 0
        self._room = [np.zeros((words << bits) * size, np.uint64)]
        self._room += [np.zeros(each, np.uint64) for each in (words * (count + 1), count + 1, count + 1, words, words)]
        self._about = np.zeros(len(ABOUT), np.int64)
        self._about[[COUNT, WORDS, SHIFT]] = count, words, 64 - bits
        self._about[MEMO:] = [each.ctypes.data for each in self._room]
        self.address = self._about.ctypes.data if count else 0
        self.take(renamings)

    def take(self, renamings: Renamings) -> None:
        """From now on so much is known of the same renamings."""
        tables = renamings.first, renamings.parts, renamings.order, renamings.numbers
        self._renamings = renamings
        self._about[FIELDS] = len(renamings.order)
        self._about[FIRST:MEMO] = [each.ctypes.data for each in tables]


@bare(inline="always")
def _number(address: int, place: int) -> Any:
    return np.int64(load(address + 8 * place))


@bare()
def _entry(alike: int, word: int, value: Any) -> Any:
    """The address of what is remembered of a word, 0 if it has a value that a renaming does not know."""
    count, words = _number(alike, COUNT), _number(alike, WORDS)
    size, shift = KEYS + count + 1 + count * words, load(alike + 8 * SHIFT)
    place = np.int64(np.uint64(value) * MULTIPLIER >> shift) + (np.int64(word) << np.int64(64 - shift))
    entry = _number(alike, MEMO) + 8 * size * place
    if load(entry) == KNOWN and load(entry + 8 * VALUE) == value:
        return entry
    return entry if _learn(alike, word, value, entry) else 0


@bare()
def _learn(alike: int, word: int, value: Any, entry: int) -> Any:
    """Fill an entry of the memo; False if not all is known."""
    count, words = _number(alike, COUNT), _number(alike, WORDS)
    keys = entry + 8 * KEYS
    rows = keys + 8 * (count + 1)
    for each in range(KEYS + count + 1 + count * words):
        store(entry + 8 * each, np.uint64(0))
    first, numbers, row = _number(alike, FIRST), _number(alike, NUMBERS), 8 * (PART + TO * count)
    for field in range(_number(first, word), _number(first, word + 1)):
        part = _number(alike, PARTS) + row * field
        number = np.int64(value >> load(part)) & _number(part, 1)
        if _number(part, 2) != NO_KEY:
            store(keys, load(keys) | np.uint64(number) << load(part + 16))
        for which in range(count):
            to = part + 8 * (PART + TO * which)
            if number >= _number(to, 4):
                return False
            renamed = load(numbers + 8 * (_number(to, 3) + number))
            place = rows + 8 * (which * words + _number(to, 0))
            store(place, load(place) | renamed << load(to + 8))
            if _number(to, 2) != NO_KEY:
                key = keys + 8 * (which + 1)
                store(key, load(key) | renamed << load(to + 16))
    store(entry + 8 * VALUE, value)
    store(entry, KNOWN)
    return True


@bare()
def likes(alike: int) -> Any:
    """How many renamings there are."""
    return _number(alike, COUNT) if alike else 0


@bare()
def begin(alike: int, row: int) -> Any:
    """Note the state (at an address) that others come after; False if not all is known of it."""
    size = 8 * (_number(alike, COUNT) + 1)
    before, whole = _number(alike, BEFORE), _number(alike, WHOLE)
    for key in range(0, size, 8):
        store(whole + key, np.uint64(0))
    for word in range(_number(alike, WORDS)):
        entry = _entry(alike, word, load(row + 8 * word))
        if entry == 0:
            return False
        for key in range(0, size, 8):
            value = load(entry + 8 * KEYS + key)
            store(before + size * word + key, value)
            store(whole + key, load(whole + key) | value)
    return True


@bare()
def smallest(alike: int, before: int, row: int) -> Any:
    """Put in place of a row the smallest of it and what renamings make of it; False if that is not known. The row, and
    the state before it that was noted, are at addresses."""
    size = 8 * (_number(alike, COUNT) + 1)
    noted, whole, after = _number(alike, BEFORE), _number(alike, WHOLE), _number(alike, AFTER)
    for key in range(0, size, 8):
        store(after + key, load(whole + key))
    for word in range(_number(alike, WORDS)):
        value = load(row + 8 * word)
        if value != load(before + 8 * word):
            entry = _entry(alike, word, value)
            if entry == 0:
                return False
            # Fields of other words have other bits.
            for key in range(0, size, 8):
                store(after + key, load(after + key) ^ load(noted + size * word + key) ^ load(entry + 8 * KEYS + key))
    own = load(after)
    for key in range(8, size, 8):
        if load(after + key) <= own:
            return _choose(alike, row)
    return True


@bare()
def _choose(alike: int, row: int) -> Any:
    """Put in place of a row the smallest of those that have the least key."""
    words, count = _number(alike, WORDS), _number(alike, COUNT)
    after, original, renamed = _number(alike, AFTER), _number(alike, ROW), _number(alike, RENAMED)
    least = load(after)
    for which in range(count):
        least = min(least, load(after + 8 * (which + 1)))
    for word in range(words):
        store(original + 8 * word, load(row + 8 * word))
    chosen = load(after) == least
    for which in range(count):
        if load(after + 8 * (which + 1)) == least:
            if not rename(alike, original, which, renamed):
                return False
            if not chosen or _is_smaller(alike, renamed, row):
                for word in range(words):
                    store(row + 8 * word, load(renamed + 8 * word))
                chosen = True
    return True


@bare()
def rename(alike: int, row: int, which: int, renamed: int) -> Any:
    """Put what a renaming makes of a row to an address; False if that is not known."""
    count, words = _number(alike, COUNT), _number(alike, WORDS)
    for word in range(words):
        store(renamed + 8 * word, np.uint64(0))
    for word in range(words):
        entry = _entry(alike, word, load(row + 8 * word))
        if entry == 0:
            return False
        part = entry + 8 * (KEYS + count + 1 + which * words)
        for to in range(0, 8 * words, 8):
            store(renamed + to, load(renamed + to) | load(part + to))
    return True


@bare()
def _is_smaller(alike: int, row: int, other: int) -> Any:
    """Whether a row is that of a smaller state than another one: compared field by field, as they came."""
    for field in range(_number(alike, FIELDS)):
        place = _number(alike, ORDER) + 24 * field
        word, shift, mask = 8 * _number(place, 0), load(place + 8), load(place + 16)
        if (load(row + word) ^ load(other + word)) >> shift & mask:
            return (load(row + word) >> shift & mask) < (load(other + word) >> shift & mask)
    return False
