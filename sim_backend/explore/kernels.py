"""What the compiled search does without Python: it walks the decision trees, applies outcomes, and keeps what is new.

Several threads may work on the same states. All functions here release the interpreter's lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim_backend.explore.alike import begin, likes, rename, smallest
from sim_backend.explore.atomics import bare, load, store
from sim_backend.explore.numbered import Sets, enter, find_row, is_full, open_state

BATCH, TOGETHER = 64, 256
"""So many states, at most, are expanded together, as long as so many come after them: memory is fetched for all."""
LEAF, UNKNOWN = np.uint64(1 << 63), np.uint64((1 << 64) - 1)
COUNT, FIRST, BYTE = np.uint64(32), np.uint64(0x7FFFFFFF), np.uint64(0xFF)
SIEVE = 1 << 16
SIEVE_SHIFT, HALF, ONE = np.uint64(48), np.uint64(32), np.uint64(1)
MULTIPLIER = np.uint64(0xD6E8FEB86659FD93)
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


class Space(NamedTuple):
    """Memory that a kernel works in: for rows, and by row, where it comes from, what is entered of it, and its hash."""

    rows: Any
    of: Any
    these: Any
    hashes: Any


@bare(inline="always")
def _leaf(children: int, node: Any, row: int) -> Any:
    """The leaf that a row (at an address) leads to from a node, UNKNOWN if it is not known."""
    while node < LEAF:
        value = load(row + 8 * np.int64(node & BYTE)) << (node >> LEFT & BYTE) >> (node >> RIGHT & BYTE)
        node = load(children + 8 * np.int64((node >> CHILDREN) + value))
    return node


@bare(inline="always")
def _outcomes(leaf: Any) -> Any:
    """The first outcome of a leaf, and the one after its last one; of what is not known, none."""
    first = np.int64(leaf & FIRST)
    return first, first + (np.int64((leaf ^ LEAF) >> COUNT) if leaf != UNKNOWN else 0)


@bare(inline="always")
def _follow(learnt: Learnt, alike: int, sets: Sets, state: int, after: int, all_actions: bool) -> Any:
    """Put what comes after a state (by progress alone, if not by `all_actions`) to an address: the same parts, with the
    row after it. Returns how many there are, whether all is known, and whether there was progress. The state is an
    address too. `alike`: see `alike.Memo`."""
    words, count = sets.words, len(sets.up)
    children, clear, bits = learnt.child.ctypes.data, learnt.clear.ctypes.data, learnt.bits.ctypes.data
    made, moving = 0, False
    if alike and not begin(alike, state):
        return made, False, False
    for action in range(len(learnt.progress)):
        if not (all_actions or learnt.progress[action]):
            continue
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
            if alike and not smallest(alike, state, after):
                return made, False, False
            after += 8 * count
            made += 1
    return made, True, moving


@bare(nogil=True, cache=True)
def expand(
    sets: Sets,
    learnt: Learnt,
    alike: int,
    start: int,
    end: int,
    room: int,
    space: Space,
    unknown: Any,
    resting: Any,
) -> Any:
    """Add what comes after the states from `start` to `end`, until a set has no more room.

    `unknown` gets the states from which not all is known (left out), `resting` those without progress. Returns how far
    it came, how many of each there are, and how many transitions there were.
    """
    count, most = len(sets.up), together(learnt)
    size = 8 * count
    before, after = space.rows.ctypes.data, space.rows.ctypes.data + size * BATCH
    of, these, hashes = space.of, space.these, space.hashes
    unknowns = rests = transitions = 0
    state = start
    while state < end and not is_full(sets, count, room):
        opened = min(BATCH, end - state)
        for at in range(opened):
            open_state(sets, state + at, before + size * at)
        done = made = 0
        while done < opened and made + learnt.most_of_all <= most:
            here = before + size * done
            new, known, moving = _follow(learnt, alike, sets, here, after + size * made, True)
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


@bare()
def together(learnt: Learnt) -> Any:
    """How many states, at most, are added together."""
    return max(TOGETHER, learnt.most_of_all)


def space_for(sets: Sets, learnt: Learnt) -> Space:
    """Memory for one thread."""
    most = int(together(learnt))
    of, these = np.empty((2, most), np.int64)
    return Space(np.empty((BATCH + most) * len(sets.up), np.uint64), of, these, np.empty(most, np.uint64))


@bare(nogil=True, cache=True)
def test(sets: Sets, learnt: Learnt, asked: Any, start: int, end: int, space: Space, first: Any, unknown: Any) -> Any:
    """Test properties of states. `asked` has a row for each: the number of its tree, and whether what is true of a
    state is looked for. `first` gets the first such state of each (it has -1 before), `unknown` the states of which not
    all is known; returns how many those are."""
    row, children = space.rows.ctypes.data, learnt.child.ctypes.data
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


@bare(nogil=True, cache=True)
def false(
    sets: Sets,
    learnt: Learnt,
    alike: int,
    tree: int,
    start: int,
    end: int,
    space: Space,
    marks: Any,
    unknown: Any,
) -> Any:
    """Mark the states of which a test (the number of its tree) is false, or of one that is like them. `unknown` gets
    the others of which not all is known; returns how many those are.

    State n has the bit n % 64 of `marks[n // 64]`; no two threads may have one word.
    """
    size = 8 * len(sets.up)
    row, like, children = space.rows.ctypes.data, space.rows.ctypes.data + size, learnt.child.ctypes.data
    root, count = learnt.roots[tree], likes(alike)
    unknowns = 0
    for state in range(start, end):
        open_state(sets, state, row)
        leaf = _leaf(children, root, row)
        begin, last = _outcomes(leaf)
        known, true = leaf != UNKNOWN, begin < last
        which = 0
        while which < count and known and true:
            known = rename(alike, row, which, like)
            leaf = _leaf(children, root, like) if known else UNKNOWN
            begin, last = _outcomes(leaf)
            known, true = leaf != UNKNOWN, begin < last
            which += 1
        if not known:
            unknown[unknowns] = state
            unknowns += 1
        elif not true:
            marks[state >> 6] |= np.uint64(1) << np.uint64(state & 63)
    return unknowns


@bare(nogil=True, cache=True)
def unmark(sets: Sets, learnt: Learnt, alike: int, start: int, end: int, space: Space, marks: Any) -> Any:
    """Unmark the states of which no progress leads to a marked one, the last one first. Returns how many those were, -1
    if not all is known. No two threads may have one word of `marks`; what others unmark may be seen late."""
    size = 8 * len(sets.up)
    before, after = space.rows.ctypes.data, space.rows.ctypes.data + size
    dropped = 0
    for state in range(end - 1, start - 1, -1):
        if marks[state >> 6] >> np.uint64(state & 63) & ONE:
            open_state(sets, state, before)
            made, known, _ = _follow(learnt, alike, sets, before, after, False)
            if not known:
                return -1
            going_on = False
            for row in range(after, after + size * made, size):
                number = find_row(sets, row)
                going_on |= number >= 0 and marks[number >> 6] >> np.uint64(number & 63) & ONE != 0
                if going_on:
                    break
            if not going_on:
                marks[state >> 6] &= ~(ONE << np.uint64(state & 63))
                dropped += 1
    return dropped


@bare(nogil=True, cache=True)
def predecessors(
    sets: Sets,
    learnt: Learnt,
    alike: int,
    start: int,
    end: int,
    space: Space,
    sieve: Any,
    first: int,
    wanted: Any,
    parent: Any,
) -> None:
    """For the states from `first` on that are `wanted` and have no `parent` yet (-1): the first of the states from
    `start` to `end` that they come after. Only rows that `sieve` lets through are looked for: see `sift`."""
    size = 8 * len(sets.up)
    before, after = space.rows.ctypes.data, space.rows.ctypes.data + size
    for state in range(start, end):
        open_state(sets, state, before)
        made, _, _ = _follow(learnt, alike, sets, before, after, True)
        for row in range(after, after + size * made, size):
            if sieve[_sieved(sets, row)]:
                number = find_row(sets, row) - first
                if 0 <= number < len(wanted) and wanted[number] and parent[number] < 0:
                    parent[number] = state


@bare()
def _sieved(sets: Sets, row: int) -> Any:
    mixed = np.uint64(0)
    for word in range(0, 8 * sets.words, 8):
        mixed = (mixed ^ load(row + word)) * MULTIPLIER
        mixed ^= mixed >> HALF
    return np.int64(mixed >> SIEVE_SHIFT)


@bare(nogil=True, cache=True)
def sift(sets: Sets, states: Any, space: Space, sieve: Any) -> None:
    """Let the rows of states through a sieve of SIEVE places, and few others."""
    row = space.rows.ctypes.data
    for at in range(len(states)):
        open_state(sets, states[at], row)
        sieve[_sieved(sets, row)] = True
