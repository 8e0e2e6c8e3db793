"""Numbered sets, compiled: how states are kept.

A set gives each 64-bit value in it a number, in the order in which they came. A state's row is kept as a tree of sets:
one for each word; the number of a value has its place in a value of the set above, beside other numbers, up to the
root, whose numbers are the states'. States that have most words in common share most of it (LTSmin's tree compression);
nothing is ever told by its hash alone.

Several threads may work on the same sets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sim_backend.explore.atomics import acquire, bare, claim, count_up, load, prefetch, publish, store

SLOTS, SIZE, VALUES, LIMIT, NUMBERS = ABOUT = range(5)
"""Of a set: the address and number of its slots, the address of its values, how many there may be before it has to
grow, and which of a slot's 32 bits hold a value's number and 1: the others hold as many of its hash, so that other
values need seldom be looked at."""
LINE = 8
"""So many numbers lie between two counts: each has a cache line for itself."""
TAKEN = np.uint32(0xFFFFFFFF)
"""A slot that a thread is about to fill."""
TOGETHER = 256
"""So many values are looked for together, so that memory is fetched for all of them at once."""
CACHED = 1 << 14
"""A set of no more slots is in the cache."""
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)


class Sets(NamedTuple):
    """The sets of a tree: `about[set]` as above, `counts[set, 0]` values in each.

    The first `words` sets are of words, the last one is the root. The number of a value of any other set stands in
    values of the set `up[set]`, a later one: `shift[set]` to the left, in bits `mask[set]` (before the shift).
    """

    about: Any
    counts: Any
    up: Any
    shift: Any
    mask: Any
    words: int


@bare(inline="always")
def _hashed(value: Any) -> Any:
    mixed = np.uint64(value)
    mixed ^= mixed >> HALF
    mixed *= MULTIPLIER
    mixed ^= mixed >> HALF
    mixed *= MULTIPLIER
    return mixed


@bare(inline="always")
def _place(hashed: Any, size: Any) -> Any:
    """The first slot where a value may be."""
    return np.int64((hashed >> HALF) * np.uint64(size) >> HALF)


@bare(inline="always")
def _tag(hashed: Any, numbers: Any) -> Any:
    """What its slot has beside its number."""
    return hashed & LOW & ~np.uint64(numbers)


@bare()
def _number(slots: Any, size: Any, values: Any, numbers: Any, count: Any, value: Any, hashed: Any) -> Any:
    """The number of a value in a set, in which it is then. `count` is the address of the set's count."""
    place, tag = _place(hashed, size), _tag(hashed, numbers)
    while True:
        found = acquire(slots + 4 * place)
        if found == 0:
            if claim(slots + 4 * place, TAKEN):
                number = count_up(count, 1)
                store(values + 8 * number, value)
                publish(slots + 4 * place, np.uint32(tag | np.uint64(number + 1)))
                return number
        elif found != TAKEN:
            number = np.int64(found & numbers) - 1
            if _tag(found, numbers) == tag and load(values + 8 * number) == value:
                return number
            place = place + 1 if place + 1 < size else 0


@bare()
def _enter_states(
    slots: Any, size: Any, values: Any, numbers: Any, counts: Any, which: int, these: Any, count: int, hashes: Any
) -> None:
    """Put states into the root: those that are new get numbers side by side, for threads that write to one cache line
    wait for each other."""
    new = 0
    for at in range(count):
        row, hashed = these[at], hashes[at]
        value, place, tag = load(row + 8 * which), _place(hashed, size), _tag(hashed, numbers)
        while True:
            found = acquire(slots + 4 * place)
            if found == 0:
                if claim(slots + 4 * place, TAKEN):
                    these[new], hashes[new] = row, place
                    new += 1
                    break
            elif found == TAKEN:
                # Nobody waits for another who waits for him.
                _publish_states(slots, values, numbers, counts, which, these, new, hashes)
                new = 0
            else:
                number = np.int64(found & numbers) - 1
                if _tag(found, numbers) == tag and load(values + 8 * number) == value:
                    break
                place = place + 1 if place + 1 < size else 0
    _publish_states(slots, values, numbers, counts, which, these, new, hashes)


@bare()
def _publish_states(
    slots: Any, values: Any, numbers: Any, counts: Any, which: int, these: Any, new: int, places: Any
) -> None:
    """Number states whose slots were claimed."""
    if new:
        number = count_up(counts, new)
        for at in range(new):
            value = load(these[at] + 8 * which)
            store(values + 8 * (number + at), value)
            tag = _tag(_hashed(value), numbers)
            publish(slots + 4 * np.int64(places[at]), np.uint32(tag | np.uint64(number + at + 1)))


@bare(inline="always")
def enter(sets: Sets, which: int, these: Any, count: int, hashes: Any) -> None:
    """Put values into a set, and their numbers into the values of the set above. `these[:count]` are the addresses of
    what has 64 bits for the value in each set; of states, `these` and `hashes` are overwritten."""
    about = sets.about
    slots, size, values, numbers = about[which, SLOTS], about[which, SIZE], about[which, VALUES], about[which, NUMBERS]
    counts = sets.counts.ctypes.data + 8 * LINE * which
    for at in range(count):
        hashed = _hashed(load(these[at] + 8 * which))
        hashes[at] = hashed
        prefetch(slots + 4 * _place(hashed, size))
    for at in range(count if size > CACHED else 0):
        found = acquire(slots + 4 * _place(hashes[at], size))
        if found != 0 and found != TAKEN:
            prefetch(values + 8 * (np.int64(found & numbers) - 1))
    if which + 1 == len(sets.up):
        _enter_states(slots, size, values, numbers, counts, which, these, count, hashes)
        return
    up, shift, mask = 8 * sets.up[which], sets.shift[which], sets.mask[which] << sets.shift[which]
    for at in range(count):
        row = these[at]
        number = np.uint64(_number(slots, size, values, numbers, counts, load(row + 8 * which), hashes[at]))
        store(row + up, load(row + up) & ~mask | number << shift)


@bare()
def look_up(sets: Sets, which: int, value: Any) -> Any:
    """The number of a value in a set, -1 if it is not in it."""
    about = sets.about
    slots, size, values, numbers = about[which, SLOTS], about[which, SIZE], about[which, VALUES], about[which, NUMBERS]
    hashed = _hashed(value)
    place, tag = _place(hashed, size), _tag(hashed, numbers)
    while True:
        found = acquire(slots + 4 * place)
        if found == 0:
            return np.int64(-1)
        number = np.int64(found & numbers) - 1
        if _tag(found, numbers) == tag and load(values + 8 * number) == value:
            return number
        place = place + 1 if place + 1 < size else 0


@bare(nogil=True, cache=True)
def refill(about: Any, which: int, first: int, end: int) -> None:
    """Enter some of the values of a set into its slots, where they are not."""
    slots, size, values, numbers = about[which, SLOTS], about[which, SIZE], about[which, VALUES], about[which, NUMBERS]
    for start in range(first, end, TOGETHER):
        last = min(start + TOGETHER, end)
        for number in range(start, last):
            prefetch(slots + 4 * _place(_hashed(load(values + 8 * number)), size))
        for number in range(start, last):
            hashed = _hashed(load(values + 8 * number))
            place, filled = _place(hashed, size), np.uint32(_tag(hashed, numbers) | np.uint64(number + 1))
            while not (acquire(slots + 4 * place) == 0 and claim(slots + 4 * place, filled)):
                place = place + 1 if place + 1 < size else 0


@bare(nogil=True, cache=True)
def values(about: Any, which: int, found: Any) -> None:
    """The first values of a set, into `found`."""
    for number in range(len(found)):
        found[number] = load(about[which, VALUES] + 8 * number)


@bare(nogil=True, cache=True)
def replace(about: Any, which: int, new: Any) -> None:
    """Put others in place of the first values of a set. Its slots are wrong then."""
    for number in range(len(new)):
        store(about[which, VALUES] + 8 * number, new[number])


@bare(nogil=True, cache=True)
def recode(sets: Sets, which: int, shift: Any) -> None:
    """Move the numbers in the values of a set; `shift`, by set below, says where to. Its slots are wrong then."""
    values = sets.about[which, VALUES]
    for at in range(sets.counts[which, 0]):
        old, new = load(values + 8 * at), np.uint64(0)
        for below in range(which):
            if sets.up[below] == which:
                new |= (old >> sets.shift[below] & sets.mask[below]) << shift[below]
        store(values + 8 * at, new)


@bare(inline="always")
def is_full(sets: Sets, some: int, room: int) -> Any:
    """Whether one of the first sets has no room for so many more values."""
    full = False
    for which in range(some):
        full |= sets.counts[which, 0] + room >= sets.about[which, LIMIT]
    return full


@bare(inline="always")
def open_state(sets: Sets, state: int, parts: int) -> None:
    """A state's value in each set, to an address: its row comes first."""
    top = len(sets.up) - 1
    store(parts + 8 * top, load(sets.about[top, VALUES] + 8 * state))
    for which in range(top - 1, -1, -1):
        number = load(parts + 8 * sets.up[which]) >> sets.shift[which] & sets.mask[which]
        store(parts + 8 * which, load(sets.about[which, VALUES] + 8 * np.int64(number)))


@njit(nogil=True, cache=True)
def rows(sets: Sets, states: Any, found: Any) -> None:
    """The rows of states, into `found`."""
    parts = np.empty(len(sets.up), np.uint64)
    for at in range(len(states)):
        open_state(sets, states[at], parts.ctypes.data)
        for word in range(sets.words):
            found[at, word] = parts[word]


@njit(nogil=True, cache=True)
def add(sets: Sets, new: Any, start: int) -> Any:
    """Add rows from one on, until a set has to grow; returns how far it came."""
    parts = np.zeros((TOGETHER, len(sets.up)), np.uint64)
    hashes = np.empty(TOGETHER, np.uint64)
    while start < len(new) and not is_full(sets, len(sets.up), TOGETHER):
        count = min(TOGETHER, len(new) - start)
        for at in range(count):
            for word in range(sets.words):
                parts[at, word] = new[start + at, word]
        these = parts.ctypes.data + 8 * len(sets.up) * np.arange(TOGETHER)
        for which in range(len(sets.up)):
            enter(sets, which, these, count, hashes)
        start += count
    return start


@njit(nogil=True, cache=True)
def replace_states(sets: Sets, new: Any, number: int, start: int) -> Any:
    """Let states from a number on have the rows `new`, from one of them on, until a set other than the root has to
    grow; returns how far it came. The root's slots are wrong then."""
    top = len(sets.up) - 1
    parts = np.zeros((TOGETHER, top + 1), np.uint64)
    hashes = np.empty(TOGETHER, np.uint64)
    these = parts.ctypes.data + 8 * (top + 1) * np.arange(TOGETHER)
    while start < len(new) and not is_full(sets, top, TOGETHER):
        count = min(TOGETHER, len(new) - start)
        for at in range(count):
            for word in range(sets.words):
                parts[at, word] = new[start + at, word]
        for which in range(top):
            enter(sets, which, these, count, hashes)
        for at in range(count):
            store(sets.about[top, VALUES] + 8 * (number + start + at), parts[at, top])
        start += count
    return start


@bare()
def find_row(sets: Sets, row: int) -> Any:
    """The state that a row is, -1 if it is none. The row is at an address, with room for its value in each set."""
    for which in range(sets.words, len(sets.up)):
        store(row + 8 * which, np.uint64(0))
    number = np.int64(-1)
    for which in range(len(sets.up)):
        number = look_up(sets, which, load(row + 8 * which))
        if number < 0:
            break
        if which + 1 < len(sets.up):
            above = row + 8 * sets.up[which]
            store(above, load(above) | np.uint64(number) << sets.shift[which])
    return number


@njit(nogil=True, cache=True)
def find(sets: Sets, looked_for: Any, found: Any) -> None:
    """The states that rows are, into `found`, -1 for what is none."""
    parts = np.empty(len(sets.up), np.uint64)
    for at in range(len(looked_for)):
        for word in range(sets.words):
            parts[word] = looked_for[at, word]
        found[at] = find_row(sets, parts.ctypes.data)
