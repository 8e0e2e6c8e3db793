"""What the compiled search does without Python: it walks the decision trees, applies outcomes, and keeps what is new.

Several threads may work on the same states. All functions here release the interpreter's lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sim_backend.explore.alike import begin, smallest
from sim_backend.explore.atomics import bare, load, store
from sim_backend.explore.numbered import Sets, enter, find_row, is_full, open_state

BATCH, TOGETHER = 64, 256
"""So many states, at most, are expanded together, as long as so many come after them: memory is fetched for all."""
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


@bare()
def _follow(learnt: Learnt, alike: int, sets: Sets, state: int, after: int) -> Any:
    """Put what comes after a state to an address: the same parts, with the row after it. Returns how many there are,
    whether all is known, and whether there was progress. The state is an address too. `alike`: see `alike.Memo`."""
    words, count = sets.words, len(sets.up)
    children, clear, bits = learnt.child.ctypes.data, learnt.clear.ctypes.data, learnt.bits.ctypes.data
    made, moving = 0, False
    if alike and not begin(alike, state):
        return made, False, False
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
    while state < end and not is_full(sets, room):
        opened = min(BATCH, end - state)
        for at in range(opened):
            open_state(sets, state + at, before + size * at)
        done = made = 0
        while done < opened and made + learnt.most_of_all <= most:
            here = before + size * done
            new, known, moving = _follow(learnt, alike, sets, here, after + size * made)
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
def predecessors(
    sets: Sets,
    learnt: Learnt,
    alike: int,
    start: int,
    end: int,
    space: Space,
    first: int,
    wanted: Any,
    parent: Any,
) -> None:
    """For the states from `first` on that are `wanted` and have no `parent` yet (-1): the first of the states from
    `start` to `end` that they come after."""
    size = 8 * len(sets.up)
    before, after = space.rows.ctypes.data, space.rows.ctypes.data + size
    for state in range(start, end):
        open_state(sets, state, before)
        made, _, _ = _follow(learnt, alike, sets, before, after)
        for row in range(after, after + size * made, size):
            number = find_row(sets, row) - first
            if 0 <= number < len(wanted) and wanted[number] and parent[number] < 0:
                parent[number] = state
