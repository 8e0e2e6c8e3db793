"""What the compiled search does without Python: walk the decision trees, and keep states in numbered sets.

A set gives each 64-bit value in it a number, in the order in which they came. A state's row is kept as a tree of sets:
one for each word, and one for each pair of numbers of two others, up to the root, whose numbers are the states'. States
that have most words in common share most of it (LTSmin's tree compression); nothing is ever told by its hash alone.

Several threads may work on the same sets. All functions here release the interpreter's lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sim_backend.explore.atomics import acquire, claim, count_up, load, prefetch, publish, store

SLOTS, SIZE, VALUES, LIMIT, NUMBERS = ABOUT = range(5)
"""Of a set: the address and number of its slots, the address of its values, how many there may be before it has to
grow, and which of a slot's 32 bits hold a value's number and 1: the others hold as many of its hash, so that other
values need seldom be looked at."""
LINE = 8
"""So many numbers lie between two counts: each has a cache line for itself."""
TAKEN = np.uint32(0xFFFFFFFF)
"""A slot that a thread is about to fill."""
BATCH = 64
"""So many states are looked for together, so that memory is fetched for all of them at once."""
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
MEMO_BITS = 10
MEMO_SHIFT = np.uint64(64 - MEMO_BITS)
"""So many words of each place in a row are remembered with what renamings make of them."""
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
WORD, SHIFT, MASK, BASE, TOP = range(5)
"""Of a node: where its field lies, where its children begin, and how many there are, less one (see `Trees`)."""


class Sets(NamedTuple):
    """The sets of a tree: `about[set]` as above, `counts[set, 0]` values in each; the first `words` are of words, the
    others of pairs of the numbers of `left` and `right`."""

    about: Any
    counts: Any
    left: Any
    right: Any
    words: int


class Learnt(NamedTuple):
    """What was learnt (see `transitions.Trees`), packed for the walk."""

    roots: Any
    nodes: Any
    child: Any
    leaf_start: Any
    leaf_count: Any
    clear: Any
    bits: Any
    progress: Any


class Renamings(NamedTuple):
    """A model's symmetries: by renaming and field, the word and shift of the field in its place, and where in `numbers`
    its values begin, and how many are known. `word`, `shift`, `mask` say where each field lies; the fields of a word
    stand in `by_word` from `first[word]` on."""

    to_word: Any
    to_shift: Any
    start: Any
    known: Any
    numbers: Any
    word: Any
    shift: Any
    mask: Any
    by_word: Any
    first: Any


class Memo(NamedTuple):
    """What renamings make of words that were met: if `known`, what they make of `words` is in `rows`, for each of them;
    and room for what they make of a row."""

    known: Any
    words: Any
    rows: Any
    renamed: Any


@njit(inline="always")
def _hashed(value: Any) -> Any:
    mixed = np.uint64(value)
    mixed ^= mixed >> HALF
    mixed *= MULTIPLIER
    mixed ^= mixed >> HALF
    mixed *= MULTIPLIER
    return mixed


@njit(inline="always")
def _place(hashed: Any, size: Any) -> Any:
    """The first slot where a value may be."""
    return np.int64((hashed >> HALF) * np.uint64(size) >> HALF)


@njit(inline="always")
def _tag(hashed: Any, numbers: Any) -> Any:
    """What its slot has beside its number."""
    return hashed & LOW & ~np.uint64(numbers)


@njit
def _number(about: Any, counts: Any, which: int, value: Any, hashed: Any) -> Any:
    """The number of a value in a set, in which it is then."""
    slots, size, values, numbers = about[which, SLOTS], about[which, SIZE], about[which, VALUES], about[which, NUMBERS]
    place, tag = _place(hashed, size), _tag(hashed, numbers)
    while True:
        found = acquire(slots + 4 * place)
        if found == 0:
            if claim(slots + 4 * place, TAKEN):
                number = count_up(counts.ctypes.data + 8 * LINE * which)
                store(values + 8 * number, value)
                publish(slots + 4 * place, np.uint32(tag | np.uint64(number + 1)))
                return number
        elif found != TAKEN:
            number = np.int64(found & numbers) - 1
            if _tag(found, numbers) == tag and load(values + 8 * number) == value:
                return number
            place = place + 1 if place + 1 < size else 0


@njit
def _look_up(about: Any, which: int, value: Any) -> Any:
    """The number of a value in a set, -1 if it is not in it."""
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


@njit(nogil=True, cache=True)
def refill(about: Any, which: int, count: int) -> None:
    """Enter the first values of a set into its slots, which are empty."""
    slots, size, values, numbers = about[which, SLOTS], about[which, SIZE], about[which, VALUES], about[which, NUMBERS]
    for start in range(0, count, BATCH):
        end = min(start + BATCH, count)
        for number in range(start, end):
            prefetch(slots + 4 * _place(_hashed(load(values + 8 * number)), size))
        for number in range(start, end):
            hashed = _hashed(load(values + 8 * number))
            place = _place(hashed, size)
            while acquire(slots + 4 * place) != 0:
                place = place + 1 if place + 1 < size else 0
            publish(slots + 4 * place, np.uint32(_tag(hashed, numbers) | np.uint64(number + 1)))


@njit
def _open(sets: Sets, state: Any, codes: Any, row: Any) -> None:
    """A state's row, and the numbers of its parts."""
    top = len(sets.left) - 1
    codes[top] = state
    for which in range(top, sets.words - 1, -1):
        pair = load(sets.about[which, VALUES] + 8 * codes[which])
        codes[sets.left[which]] = np.int64(pair >> HALF)
        codes[sets.right[which]] = np.int64(pair & LOW)
    for word in range(sets.words):
        row[word] = load(sets.about[word, VALUES] + 8 * codes[word])


@njit(nogil=True, cache=True)
def rows(sets: Sets, states: Any, found: Any) -> None:
    """The rows of states, into `found`."""
    codes = np.empty(len(sets.left), np.int64)
    for at in range(len(states)):
        _open(sets, states[at], codes, found[at])


@njit(nogil=True, cache=True)
def add(sets: Sets, new: Any, start: int) -> Any:
    """Add rows from one on, until a set has to grow; returns how far it came."""
    codes = np.empty(len(sets.left), np.int64)
    for at in range(start, len(new)):
        for which in range(len(sets.left)):
            if sets.counts[which, 0] >= sets.about[which, LIMIT]:
                return at
        for which in range(len(sets.left)):
            value = (
                new[at, which]
                if which < sets.words
                else np.uint64(codes[sets.left[which]]) << HALF | np.uint64(codes[sets.right[which]])
            )
            codes[which] = _number(sets.about, sets.counts, which, value, _hashed(value))
    return len(new)


@njit(nogil=True, cache=True)
def find(sets: Sets, looked_for: Any, found: Any) -> None:
    """The states that rows are, into `found`, -1 for what is none."""
    codes = np.empty(len(sets.left), np.int64)
    for at in range(len(looked_for)):
        found[at] = -1
        for which in range(len(sets.left)):
            if which < sets.words:
                code = _look_up(sets.about, which, looked_for[at, which])
            else:
                pair = np.uint64(codes[sets.left[which]]) << HALF | np.uint64(codes[sets.right[which]])
                code = _look_up(sets.about, which, pair)
            if code < 0:
                break
            codes[which] = code
        else:
            found[at] = code


@njit
def _leaf(learnt: Learnt, number: int, row: Any) -> Any:
    """The leaf that a row leads to, 0 if it is not known."""
    at = learnt.roots[number]
    while at > 0:
        value = np.int64(row[learnt.nodes[at, WORD]] >> np.uint64(learnt.nodes[at, SHIFT])) & learnt.nodes[at, MASK]
        at = np.int64(learnt.child[learnt.nodes[at, BASE] + min(value, learnt.nodes[at, TOP])])
    return -at


@njit
def _renamed_word(renamings: Renamings, word: int, value: Any, memo: Memo) -> Any:
    """Where the memo says what each renaming makes of a word, -1 if it has a value that one of them does not know."""
    at = np.int64(np.uint64(value) * MULTIPLIER >> MEMO_SHIFT)
    if memo.known[word, at] and memo.words[word, at] == value:
        return at
    memo.known[word, at] = False
    for which in range(len(renamings.known)):
        for to in range(len(renamings.first) - 1):
            memo.rows[word, at, which, to] = 0
    for place in range(renamings.first[word], renamings.first[word + 1]):
        field = renamings.by_word[place]
        number = np.int64(value >> np.uint64(renamings.shift[field])) & renamings.mask[field]
        for which in range(len(renamings.known)):
            if number >= renamings.known[which, field]:
                return -1
            renamed = renamings.numbers[renamings.start[which, field] + number]
            memo.rows[word, at, which, renamings.to_word[which, field]] |= renamed << np.uint64(
                renamings.to_shift[which, field]
            )
    memo.words[word, at], memo.known[word, at] = value, True
    return at


@njit
def _is_smaller(renamings: Renamings, renamed: Any, which: int, best: Any) -> Any:
    """Whether a renamed row is that of a smaller state: compared field by field, as they were numbered."""
    for field in range(len(renamings.word)):
        word, shift, mask = renamings.word[field], np.uint64(renamings.shift[field]), np.uint64(renamings.mask[field])
        differ = (renamed[which, word] ^ best[word]) >> shift & mask
        if differ:
            return (renamed[which, word] >> shift & mask) < (best[word] >> shift & mask)
    return False


@njit
def _smallest(renamings: Renamings, row: Any, memo: Memo) -> Any:
    """Put in a row's place the smallest of it and what renamings make of it; False if that is not known."""
    words, count, renamed = len(row), len(renamings.known), memo.renamed
    for which in range(count):
        for word in range(words):
            renamed[which, word] = 0
    for word in range(words):
        at = _renamed_word(renamings, word, row[word], memo)
        if at < 0:
            return False
        for which in range(count):
            for to in range(words):
                renamed[which, to] |= memo.rows[word, at, which, to]
    for which in range(count):
        if _is_smaller(renamings, renamed, which, row):
            for word in range(words):
                row[word] = renamed[which, word]
    return True


@njit
def _memo(renamings: Renamings, words: int) -> Memo:
    count = len(renamings.known)
    size = 1 << MEMO_BITS if count else 0
    return Memo(
        np.zeros((words, size), np.bool_),
        np.zeros((words, size), np.uint64),
        np.zeros((words, size, count, words), np.uint64),
        np.zeros((count, words), np.uint64),
    )


@njit
def _enter(about: Any, counts: Any, top: int, pairs: Any, hashes: Any, count: int) -> None:
    """Put states into the topmost set, whose slots were fetched."""
    slots, size, values, numbers = about[top, SLOTS], about[top, SIZE], about[top, VALUES], about[top, NUMBERS]
    for at in range(count):
        found = acquire(slots + 4 * _place(hashes[at], size))
        if found != 0 and found != TAKEN:
            prefetch(values + 8 * (np.int64(found & numbers) - 1))
    for at in range(count):
        _number(about, counts, top, pairs[at], hashes[at])


@njit(nogil=True, cache=True)
def expand(
    sets: Sets, learnt: Learnt, renamings: Renamings, start: int, end: int, room: int, unknown: Any, resting: Any
) -> Any:
    """Add what comes after the states from `start` to `end`, until a set has no more room.

    `unknown` gets the states from which not all is known (left out), `resting` those without progress. Returns how far
    it came, how many of each there are, and how many transitions there were.
    """
    about, counts, left, right, words = sets
    top, actions = len(left) - 1, len(learnt.progress)
    codes, new = np.empty(top + 1, np.int64), np.empty(top + 1, np.int64)
    row, after = np.empty(words, np.uint64), np.empty(words, np.uint64)
    memo = _memo(renamings, words)
    leaves = np.empty(actions, np.int64)
    pairs, hashes, waiting = np.empty(BATCH, np.uint64), np.empty(BATCH, np.uint64), 0
    unknowns = rests = transitions = 0
    state = start
    while state < end:
        full = False
        for which in range(top + 1):
            full |= counts[which, 0] + room >= about[which, LIMIT]
        if full:
            break
        _open(sets, state, codes, row)
        known, moving, before = True, False, transitions
        for action in range(actions):
            leaf = _leaf(learnt, action, row)
            leaves[action] = leaf
            known &= leaf != 0
            moving |= learnt.progress[action] and learnt.leaf_count[leaf] > 0
        for action in range(actions if known else 0):
            first = learnt.leaf_start[leaves[action]]
            for outcome in range(first, first + learnt.leaf_count[leaves[action]]):
                transitions += 1
                for word in range(words):
                    after[word] = row[word] & ~learnt.clear[outcome, word] | learnt.bits[outcome, word]
                if len(renamings.known):
                    known &= _smallest(renamings, after, memo)
                if not known:
                    break
                for word in range(words):
                    if after[word] == row[word]:
                        new[word] = codes[word]
                    else:
                        new[word] = _number(about, counts, word, after[word], _hashed(after[word]))
                for which in range(words, top):
                    same = new[left[which]] == codes[left[which]] and new[right[which]] == codes[right[which]]
                    pair = np.uint64(new[left[which]]) << HALF | np.uint64(new[right[which]])
                    new[which] = codes[which] if same else _number(about, counts, which, pair, _hashed(pair))
                if top < words:
                    continue
                pairs[waiting] = np.uint64(new[left[top]]) << HALF | np.uint64(new[right[top]])
                hashes[waiting] = _hashed(pairs[waiting])
                prefetch(about[top, SLOTS] + 4 * _place(hashes[waiting], about[top, SIZE]))
                waiting += 1
                if waiting == BATCH:
                    _enter(about, counts, top, pairs, hashes, waiting)
                    waiting = 0
        if not known:
            transitions = before
            unknown[unknowns] = state
            unknowns += 1
        elif not moving:
            resting[rests] = state
            rests += 1
        state += 1
    _enter(about, counts, top, pairs, hashes, waiting)
    return state, unknowns, rests, transitions


@njit(nogil=True, cache=True)
def test(sets: Sets, learnt: Learnt, asked: Any, start: int, end: int, first: Any, unknown: Any) -> Any:
    """Test properties of states. `asked` has a row for each: the number of its tree, and whether what is true of a
    state is looked for. `first` gets the first such state of each (it has -1 before), `unknown` the states of which not
    all is known; returns how many those are."""
    codes, row = np.empty(len(sets.left), np.int64), np.empty(sets.words, np.uint64)
    unknowns = 0
    for state in range(start, end):
        _open(sets, state, codes, row)
        known = True
        for at in range(len(asked)):
            if first[at] < 0:
                leaf = _leaf(learnt, asked[at, 0], row)
                if leaf == 0:
                    known = False
                elif (learnt.leaf_count[leaf] > 0) == (asked[at, 1] != 0):
                    first[at] = state
        if not known:
            unknown[unknowns] = state
            unknowns += 1
    return unknowns


@njit(nogil=True, cache=True)
def predecessors(
    sets: Sets, learnt: Learnt, renamings: Renamings, start: int, end: int, first: int, wanted: Any, parent: Any
) -> None:
    """For the states from `first` on that are `wanted` and have no `parent` yet (-1): the first of the states from
    `start` to `end` that they come after."""
    words = sets.words
    codes = np.empty(len(sets.left), np.int64)
    row, after = np.empty(words, np.uint64), np.empty(words, np.uint64)
    memo = _memo(renamings, words)
    rows_after, number = np.empty((1, words), np.uint64), np.empty(1, np.int64)
    for state in range(start, end):
        _open(sets, state, codes, row)
        for action in range(len(learnt.progress)):
            leaf = _leaf(learnt, action, row)
            for outcome in range(learnt.leaf_start[leaf], learnt.leaf_start[leaf] + learnt.leaf_count[leaf]):
                for word in range(words):
                    after[word] = row[word] & ~learnt.clear[outcome, word] | learnt.bits[outcome, word]
                if len(renamings.known):
                    _smallest(renamings, after, memo)
                rows_after[0] = after
                find(sets, rows_after, number)
                at = number[0] - first
                if 0 <= at < len(wanted) and wanted[at] and parent[at] < 0:
                    parent[at] = state
