"""The compiled search: expands, tests and looks back over states that are kept compressed. It learns nothing itself.

numba, which compiles `kernels`, is large and slow to start: a search begins without it, has it made ready by another
process once there are many states, and goes on with it when that is done (numba keeps what it compiled).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_backend.explore.fields import WORD as WORD_BITS
from sim_backend.explore.symmetry import Symmetry
from sim_backend.explore.threads import spread

if TYPE_CHECKING:
    from sim_backend.explore.alike import Memo, Renamings
    from sim_backend.explore.compressed import CompressedStates
    from sim_backend.explore.kernels import Learnt
    from sim_backend.explore.search import Search

KERNELS = "sim_backend.explore.kernels"
READY_FROM = 1 << 12
"""Kernels that are there already are worth it from so many states on."""
PART = 1 << 15
"""So many states, at most, are given to a thread at once,"""
LEAST, PARTS = 1 << 12, 8
"""and so many at least; between these, a thread gets as many parts as this, so that none waits long for another."""
MANY_PARTS = 32
MARKS = 64
"""A word marks so many states."""


class Compiler:
    """Has the kernels compiled by another process. `ready` once that has ended well; `missing` if that was asked and
    there is no numba."""

    def __init__(self) -> None:
        self._there = find_spec("numba") is not None
        self.missing = False
        self._process: subprocess.Popen[bytes] | None = None

    def worth(self, states: int) -> int:
        """From how many states on the kernels are worth it, if those are many enough to make them ready."""
        return min(states, READY_FROM) if KERNELS in sys.modules else states

    @property
    def ready(self) -> bool:
        """Whether the kernels can be used at once; if nobody makes them ready yet, somebody does from now on."""
        self.missing |= not self._there
        if self.missing:
            return False
        if KERNELS in sys.modules:
            return True
        if self._process is None:
            words = [
                sys.executable,
                "-c",
                f"import sys; sys.path[:] = {sys.path!r}; import {__name__} as c; c.warm_up()",
            ]
            nowhere = subprocess.DEVNULL
            self._process = subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        ended = self._process.poll()
        self.missing = bool(ended)
        return ended == 0

    def close(self) -> None:
        """Nobody needs them any more."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


class Compiled:
    """The kernels at work for a search whose states are compressed."""

    def __init__(self, search: Search, states: CompressedStates) -> None:
        from sim_backend.explore import kernels
        from sim_backend.explore.packed_trees import PackedTrees

        self.states = states
        self._kernels = kernels
        self._search = search
        self._trees = PackedTrees(search.learnt, search.model.actions)
        self._packed: tuple[tuple[int, int], Learnt] | None = None
        self._renaming: tuple[int, Renamings] | None = None
        self._memos: list[Memo] = []

    def expand(self, start: int, end: int) -> tuple[Any, Any, int]:
        """Add what comes after these states: returns the states without progress, those from which not all is known
        (they are left out), and the number of transitions."""
        learnt = self._learnt()
        room = self._search.threads * int(self._kernels.together(learnt))
        resting, unknown, transitions = [], [], 0
        left = [(start, end)]

        def work(first: int, last: int) -> tuple[int, int, Any, Any, int]:
            of_unknown, of_resting = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
            sets = self.states.sets
            space = self._kernels.space_for(sets, learnt)
            with self._alike() as alike:
                done = self._kernels.expand(sets, learnt, alike, first, last, room, space, of_unknown, of_resting)
            reached, unknowns, rests, taken = done
            return reached, last, of_unknown[:unknowns], of_resting[:rests], taken

        while left:
            self.states.make_room(room)
            parts = (part for first, last in left for part in self._spread(work, first, last))
            left = []
            for reached, last, of_unknown, of_resting, taken in parts:
                unknown.append(of_unknown)
                resting.append(of_resting)
                transitions += taken
                if reached < last:
                    left.append((reached, last))
        return np.concatenate(resting), np.concatenate(unknown), transitions

    def test(self, asked: Sequence[tuple[int, bool]], start: int, end: int) -> tuple[Any, Any]:
        """For properties (the number of the tree, what is looked for) the first of these states where it is so, -1 if
        it is so nowhere; and the states of which not all is known."""
        numbers = np.array(asked, np.int64).reshape(len(asked), 2)
        learnt = self._learnt()

        def work(first: int, last: int) -> tuple[Any, Any]:
            found, unknown = np.full(len(asked), -1), np.empty(last - first, np.int64)
            sets = self.states.sets
            space = self._kernels.space_for(sets, learnt)
            unknowns = self._kernels.test(sets, learnt, numbers, first, last, space, found, unknown)
            return found, unknown[:unknowns]

        firsts, unknown = zip(*self._spread(work, start, end), strict=True)
        every = np.stack(firsts).astype(np.uint64)  # -1 is the largest number here
        return every.min(axis=0).astype(np.int64), np.concatenate(unknown)

    def predecessors(self, start: int, end: int, wanted: Any) -> dict[int, int]:
        """For states of the next layer, the first of these states that each comes after."""
        first = int(wanted.min())
        flags = np.zeros(int(wanted.max()) - first + 1, bool)
        flags[wanted - first] = True
        parent = np.full(len(flags), -1)
        learnt, sets = self._learnt(), self.states.sets
        space, sieve = self._kernels.space_for(sets, learnt), np.zeros(self._kernels.SIEVE, bool)
        self._kernels.sift(sets, wanted, space, sieve)
        with self._alike() as alike:
            for at in range(start, end, PART):
                last = min(at + PART, end)
                self._kernels.predecessors(sets, learnt, alike, at, last, space, sieve, first, flags, parent)
                if (parent[flags] >= 0).all():
                    break
        return {int(state): int(parent[state - first]) for state in wanted if parent[state - first] >= 0}

    def endless(self, number: int) -> Any:
        """The states from which progress need not end among those that have a like (or are one) of which a property's
        test is false. A bit for each state, and no edges, are kept.

        Raises:
            Stale: the search has to begin again.
        """
        marks = np.zeros(-(-self.states.count // MARKS), np.uint64)
        self._mark_false(number, marks)
        while self._unmark(marks):
            pass
        return _marked(marks)

    def _mark_false(self, number: int, marks: Any) -> None:
        tree, count = self._search.tests + number, self.states.count

        def work(first: int, last: int) -> Any:
            unknown, sets = np.empty(last - first, np.int64), self.states.sets
            space = self._kernels.space_for(sets, learnt)
            with self._alike() as alike:
                unknowns = self._kernels.false(sets, learnt, alike, tree, first, last, space, marks, unknown)
            return unknown[:unknowns]

        # What is not known is learnt by the way, so that little is not known of what follows.
        start, size = 0, PART
        while start < count:
            learnt, end = self._learnt(), min(start + size, count)
            unknown = np.concatenate(list(self._spread(work, start, end)))
            for at in range(0, len(unknown), PART):
                some = unknown[at : at + PART]
                false = some[~self._search.true_of_all(number, some)]
                np.bitwise_or.at(marks, false // MARKS, np.uint64(1) << (false % MARKS).astype(np.uint64))
            self._search.report(count - end)
            start, size = end, min(2 * size, MANY_PARTS * PART)

    def _unmark(self, marks: Any) -> bool:
        """Unmark each state of which no progress leads to a marked one; whether there was any."""
        from sim_backend.explore.search import Stale

        learnt, count = self._learnt(), self.states.count
        end = -(-count // PART) * PART

        def work(first: int, last: int) -> int:
            # From the last state to the first: progress mostly leads to later ones.
            sets = self.states.sets
            space = self._kernels.space_for(sets, learnt)
            with self._alike() as alike:
                start, end_of_part = end - last, min(end - first, count)
                return int(self._kernels.unmark(sets, learnt, alike, start, end_of_part, space, marks))

        dropped = 0
        for which, found in enumerate(spread(work, 0, end, PART, self._search.threads)):
            if found < 0:
                raise Stale
            dropped += found
            self._search.report(max(count - which * PART, 0))
        return bool(dropped)

    def _spread(self, work: Any, start: int, end: int) -> Any:
        threads = self._search.threads
        if threads == 1 or end - start <= LEAST:
            return iter([work(start, end)])
        part = -(-(end - start) // (threads * PARTS) // MARKS) * MARKS
        return spread(work, start, end, min(max(part, LEAST), PART), threads)

    def _learnt(self) -> Learnt:
        learnt = self._search.learnt
        version = learnt.runs, learnt.fields.layout
        if self._packed is None or self._packed[0] != version:
            self._packed = version, self._trees.now()
        return self._packed[1]

    @contextmanager
    def _alike(self) -> Iterator[int]:
        """The renamings, and what was remembered of them, for this thread alone. That stays right when more is known;
        when fields move, a search has another Compiled."""
        from sim_backend.explore.alike import Memo

        renamings = self._renamings()
        try:
            memo = self._memos.pop()
        except IndexError:
            memo = Memo(renamings)
        memo.take(renamings)
        try:
            yield memo.address
        finally:
            self._memos.append(memo)

    def _renamings(self) -> Renamings:
        symmetry = self._search.renaming
        if self._renaming is None or self._renaming[0] != symmetry.learnt:
            self._renaming = symmetry.learnt, renamings(symmetry)
        return self._renaming[1]


def _marked(marks: Any) -> Any:
    """The states that are marked."""
    found = [np.zeros(0, np.int64)]
    for start in range(0, len(marks), PART):
        bits = np.unpackbits(marks[start : start + PART].view(np.uint8), bitorder="little")
        found.append(np.flatnonzero(bits) + MARKS * start)
    return np.concatenate(found)


def renamings(symmetry: Symmetry) -> Renamings:
    """A search's symmetries, as far as they are known."""
    from sim_backend.explore.alike import NO_KEY, TO, Renamings

    fields, count = symmetry.fields, len(symmetry.permutations)
    word, shift, mask = (each.astype(np.int64) for each in (fields.word, fields.shift, fields.mask))
    key = WORD_BITS - np.cumsum(np.bitwise_count(fields.mask), dtype=np.int64)
    key[key < 0] = NO_KEY
    known = np.zeros((len(word), count, TO), np.int64)
    numbers = [np.zeros(0, np.uint64)]
    for which, (targets, maps) in enumerate(symmetry.tables()):
        lengths = np.array([len(each) for each in maps], np.int64)
        begin = sum(map(len, numbers)) + np.cumsum(lengths) - lengths
        place = np.array(targets, np.intp)
        known[: len(place), which] = np.stack((word[place], shift[place], key[place], begin, lengths), axis=1)
        numbers += maps
    by_word = np.argsort(word, kind="stable")
    first = np.searchsorted(word[by_word], np.arange(fields.words + 1))
    parts = np.concatenate((np.stack((shift, mask, key), axis=1), known.reshape(len(word), TO * count)), axis=1)
    order = np.stack((word, shift, mask), axis=1)
    return Renamings(count, first, np.ascontiguousarray(parts[by_word]), order, np.concatenate(numbers))


def warm_up() -> None:
    """Compile the kernels, or see that they were compiled."""
    import sim_backend.explore.kernels  # noqa: F401 - from now on they are ready
    from sim_backend.explore.model import Action, Model, Property
    from sim_backend.explore.search import Search

    def count(view: Any) -> bool:
        view["n"] = (view["n"] + 1) % 3
        return True

    model = Model(lambda key: 0, [Action("count", count)], [Property("small", lambda view: bool(view["n"] < 2))])
    Search(model, compile_from=0).run()
