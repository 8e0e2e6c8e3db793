"""What the compiled search does without Python: it walks the decision trees, applies outcomes, and keeps what is new.

Several threads may work on the same states. All functions here release the interpreter's lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sim_backend.explore.atomics import load, store
from sim_backend.explore.numbered import Sets, enter, find_row, is_full, open_state

BATCH, TOGETHER = 64, 256
"""So many states, at most, are expanded together, as long as so many come after them: memory is fetched for all."""
MEMO_BITS = 10
MEMO_SHIFT = np.uint64(64 - MEMO_BITS)
"""So many words of each place in a row are remembered with what renamings make of them."""
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
LEAF, UNKNOWN = np.uint64(1 << 63), np.uint64((1 << 64) - 1)
COUNT, FIRST, BYTE = np.uint64(32), np.uint64(0x7FFFFFFF), np.uint64(0xFF)
WORD, LEFT, RIGHT, CHILDREN = (np.uint64(bit) for bit in (0, 8, 16, 32))


class Learnt(NamedTuple):
    """What was learnt (see `transitions.Trees`), packed for the walk. `roots` and `child` have 64 bits each:

    - a node: its row's word, how far that is to be shifted to the left and then to the right to have the field (8 bits
      each from WORD, LEFT, RIGHT on), and where in `child` what follows it begins (from CHILDREN on);
    - or a leaf (LEAF is set): its first outcome (in the bits FIRST), and how many it has (from COUNT on);
    - or UNKNOWN.

    An outcome makes `row & ~clear[outcome] | bits[outcome]` of a row. All leaves of a state have no more than
    `most_of_all` outcomes together.
    """

    roots: Any
    child: Any
    clear: Any
    bits: Any
    progress: Any
    most_of_all: int


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
def _leaf(children: int, node: Any, row: int) -> Any:
    """The leaf that a row (at an address) leads to from a node, UNKNOWN if it is not known."""
    while node < LEAF:
        value = load(row + 8 * np.int64(node & BYTE)) << (node >> LEFT & BYTE) >> (node >> RIGHT & BYTE)
        node = load(children + 8 * np.int64((node >> CHILDREN) + value))
    return node


@njit(inline="always")
def _outcomes(leaf: Any) -> Any:
    """The first outcome of a leaf, and the one after its last one; of what is not known, none."""
    first = np.int64(leaf & FIRST)
    return first, first + (np.int64((leaf ^ LEAF) >> COUNT) if leaf != UNKNOWN else 0)


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
def _is_smaller(renamings: Renamings, renamed: Any, which: int, best: int) -> Any:
    """Whether a renamed row is that of a smaller state: compared field by field, as they were numbered."""
    for field in range(len(renamings.word)):
        word, shift, mask = renamings.word[field], np.uint64(renamings.shift[field]), np.uint64(renamings.mask[field])
        other = load(best + 8 * word)
        if (renamed[which, word] ^ other) >> shift & mask:
            return (renamed[which, word] >> shift & mask) < (other >> shift & mask)
    return False


@njit
def _smallest(renamings: Renamings, row: int, words: int, memo: Memo) -> Any:
    """Put in place of a row the smallest of it and what renamings make of it; False if that is not known. The row is at
    an address."""
    count, renamed = len(renamings.known), memo.renamed
    for which in range(count):
        for word in range(words):
            renamed[which, word] = 0
    for word in range(words):
        at = _renamed_word(renamings, word, load(row + 8 * word), memo)
        if at < 0:
            return False
        for which in range(count):
            for to in range(words):
                renamed[which, to] |= memo.rows[word, at, which, to]
    for which in range(count):
        if _is_smaller(renamings, renamed, which, row):
            for word in range(words):
                store(row + 8 * word, renamed[which, word])
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
def _follow(learnt: Learnt, renamings: Renamings, memo: Memo, sets: Sets, state: int, after: int) -> Any:
    """Put what comes after a state to an address: the same parts, with the row after it. Returns how many there are,
    whether all is known, and whether there was progress. The state is an address too."""
    words, count = sets.words, len(sets.up)
    children, clear, bits = learnt.child.ctypes.data, learnt.clear.ctypes.data, learnt.bits.ctypes.data
    made, moving = 0, False
    for action in range(len(learnt.progress)):
        leaf = _leaf(children, learnt.roots[action], state)
        if leaf == UNKNOWN:
            return made, False, False
        first, last = _outcomes(leaf)
        moving |= learnt.progress[action] and first < last
        for outcome in range(8 * words * first, 8 * words * last, 8 * words):
            for part in range(0, 8 * words, 8):
                store(after + part, load(state + part) & ~load(clear + outcome + part) | load(bits + outcome + part))
            for part in range(8 * words, 8 * count, 8):
                store(after + part, load(state + part))
            if len(renamings.known) and not _smallest(renamings, after, words, memo):
                return made, False, False
            after += 8 * count
            made += 1
    return made, True, moving


@njit(nogil=True, cache=True)
def expand(
    sets: Sets,
    learnt: Learnt,
    renamings: Renamings,
    start: int,
    end: int,
    room: int,
    rows: Any,
    unknown: Any,
    resting: Any,
) -> Any:
    """Add what comes after the states from `start` to `end`, until a set has no more room.

    `unknown` gets the states from which not all is known (left out), `resting` those without progress. Returns how far
    it came, how many of each there are, and how many transitions there were. `rows` is `room_for_rows`.
    """
    count, most = len(sets.up), together(learnt)
    size = 8 * count
    before, after = rows.ctypes.data, rows.ctypes.data + size * BATCH
    of, these, hashes = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.uint64)
    memo = _memo(renamings, sets.words)
    unknowns = rests = transitions = 0
    state = start
    while state < end and not is_full(sets, room):
        opened = min(BATCH, end - state)
        for at in range(opened):
            open_state(sets, state + at, before + size * at)
        done = made = 0
        while done < opened and made + learnt.most_of_all <= most:
            here = before + size * done
            new, known, moving = _follow(learnt, renamings, memo, sets, here, after + size * made)
            if not known:
                unknown[unknowns] = state + done
                unknowns += 1
            else:
                for at in range(made, made + new):
                    of[at] = here
                made += new
                if not moving:
                    resting[rests] = state + done
                    rests += 1
            done += 1
        for which in range(count):
            changed = 0
            for at in range(made):
                row = after + size * at
                these[changed] = row
                changed += load(row + 8 * which) != load(of[at] + 8 * which)
            enter(sets, which, these, changed, hashes)
        transitions += made
        state += done
    return state, unknowns, rests, transitions


@njit
def together(learnt: Learnt) -> Any:
    """How many states, at most, are added together."""
    return max(TOGETHER, learnt.most_of_all)


def room_for_rows(sets: Sets, learnt: Learnt) -> Any:
    """Memory that a kernel works in. It is its caller's, for numba frees an array of which only the address is used."""
    return np.empty((BATCH + int(together(learnt))) * len(sets.up), np.uint64)


@njit(nogil=True, cache=True)
def test(sets: Sets, learnt: Learnt, asked: Any, start: int, end: int, rows: Any, first: Any, unknown: Any) -> Any:
    """Test properties of states. `asked` has a row for each: the number of its tree, and whether what is true of a
    state is looked for. `first` gets the first such state of each (it has -1 before), `unknown` the states of which not
    all is known; returns how many those are."""
    row, children = rows.ctypes.data, learnt.child.ctypes.data
    unknowns = 0
    for state in range(start, end):
        open_state(sets, state, row)
        known = True
        for at in range(len(asked)):
            if first[at] < 0:
                leaf = _leaf(children, learnt.roots[asked[at, 0]], row)
                begin, last = _outcomes(leaf)
                if leaf == UNKNOWN:
                    known = False
                elif (begin < last) == (asked[at, 1] != 0):
                    first[at] = state
        if not known:
            unknown[unknowns] = state
            unknowns += 1
    return unknowns


@njit(nogil=True, cache=True)
def predecessors(
    sets: Sets,
    learnt: Learnt,
    renamings: Renamings,
    start: int,
    end: int,
    rows: Any,
    first: int,
    wanted: Any,
    parent: Any,
) -> None:
    """For the states from `first` on that are `wanted` and have no `parent` yet (-1): the first of the states from
    `start` to `end` that they come after."""
    size = 8 * len(sets.up)
    before, after = rows.ctypes.data, rows.ctypes.data + size
    memo = _memo(renamings, sets.words)
    for state in range(start, end):
        open_state(sets, state, before)
        made, _, _ = _follow(learnt, renamings, memo, sets, before, after)
        for row in range(after, after + size * made, size):
            number = find_row(sets, row) - first
            if 0 <= number < len(wanted) and wanted[number] and parent[number] < 0:
                parent[number] = state
