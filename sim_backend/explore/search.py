"""Breadth-first search through all states of a model: what is found first is found by a shortest history."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sim_backend.explore.compiled import Compiled, Compiler
from sim_backend.explore.fields import Fields, Rows
from sim_backend.explore.grouping import SAMPLE, grouped
from sim_backend.explore.liveness import fair_cycle
from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES, Model
from sim_backend.explore.paths import moves_along, paths_to
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN, UNKNOWN, Result, Verdict
from sim_backend.explore.states import States
from sim_backend.explore.symmetry import Symmetry
from sim_backend.explore.threads import spread, undisturbed
from sim_backend.explore.transitions import Transitions
from sim_backend.explore.view import View
from structs.frozen import frozen

if TYPE_CHECKING:
    from sim_backend.explore.compressed import CompressedStates

CHUNK = 1 << 15
SHARED = 16 * CHUNK
"""So many states at once: by one thread, and by several."""
COMPILE_FROM = 1 << 15
"""From so many states on they are kept compressed and compiled code looks for more, if there is any."""
EVERY = 0.5
Part = TypeVar("Part")
SCOUTS, USELESS = 256, 16
"""So many states of a layer go ahead, until they have learnt nothing for so many layers."""


@frozen
class Limits:
    """When to stop: so many states, actions in a history, bytes; None: no limit. `first`: when something is broken that
    is not `known` to be, by name.
    """

    states: int | None = None
    depth: int | None = None
    memory: int | None = None
    first: bool = False
    known: frozenset[str] = frozenset()


@dataclass
class Progress:
    """How far it is."""

    states: int
    transitions: int
    depth: int
    queue: int
    seconds: float


@dataclass
class Finding:
    """The first state in which a property was found broken, or seen."""

    state: int
    why: str | None = None
    cycle: bool = False


class Stale(Exception):
    """What was taken for constant is not: the search has to begin again."""


@frozen
class Successors:
    """What comes after some states in one action.

    Attributes:
        rows, parents: the states after, and the states that they come from.
        resting: the states without progress.
        unknown: the states from which not all is known, where nothing is to be learnt; the rest is without them.
    """

    rows: Rows
    parents: Any
    resting: Any
    unknown: Any


@dataclass
class Search:
    """One exploration.

    Args:
        symmetry: visit only one of the states that a model's symmetries turn into each other.
        tell: is told of the progress about twice a second.
        threads: how many work on a layer of states, if it is large.
        compile_from: COMPILE_FROM, or None: never.
        folder: where the states that memory shall not hold have a file; None: there is none.
    """

    model: Model
    limits: Limits = field(default_factory=Limits)
    symmetry: bool = True
    tell: Callable[[Progress], None] | None = None
    threads: int = 1
    compile_from: int | None = COMPILE_FROM
    folder: Path | None = None
    states: States | CompressedStates = field(init=False)
    compiled: Compiled | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.fields = Fields(self.model.initial)
        self.tests = len(self.model.actions)
        self.renaming = Symmetry(self.fields, self.model.symmetries if self.symmetry else ())
        self._trees = np.arange(self.tests + len(self.model.properties))
        self._progress = np.array([action.progress for action in self.model.actions], bool)
        self.learnt = Transitions(self.fields, self._act, self.tests + len(self.model.properties))
        self.found: dict[int, Finding] = {}
        self.uncertain: set[int] = set()
        self.stopped: str | None = None
        self.scouting = False
        self.compiler = Compiler()

    def _act(self, number: int, view: View) -> tuple[bool, Any]:
        if number >= self.tests:
            return bool(self.model.properties[number - self.tests].test(view)), None
        outcome: Any = self.model.actions[number].act(view)
        return outcome if isinstance(outcome, tuple) else (bool(outcome), number)

    def run(self) -> Result:
        """Explore until every state was visited, a limit is reached, or Ctrl-C."""
        self.began = self.told = monotonic()
        self._begin()
        try:
            self._scout()
            self._visit_all()
            self._look_for_cycles()
        except KeyboardInterrupt:
            self.stopped = "interrupted"
            if self.scouting:
                self._begin()
            self.learnt.pack()
            self.move()
        finally:
            self.compiler.close()
        exhausted = self.exhausted
        return Result(
            exhausted,
            self.stopped,
            self.states.count,
            self.transitions,
            bisect_left(self.layers, self.states.count) - 1,
            self.learnt.runs,
            monotonic() - self.began,
            self.states.bytes / self.states.count,
            self._verdicts(exhausted),
        )

    def _begin(self) -> None:
        """Have visited nothing but the first state, and that not yet."""
        self._keep(States(self.fields.words))
        self.renaming.begin_again()
        self.placed, self.placement = self.fields.layout, self.fields.placement()
        self.states.add(np.zeros((1, self.fields.words), np.uint64), np.full(1, -1))
        self.layers = [0, 1]
        self.transitions = 0
        self.exhausted = False
        self.found.clear()

    def _mend(self) -> None:
        """Some of what was learnt is worth nothing, and so are the states; what fields there are is known."""
        self.learnt.mend()
        self.renaming.begin_again()
        self.move()

    def _scout(self) -> None:
        """Go far with a few states of each layer, to learn which fields there are before all states are visited."""
        chance = Random(0)
        self.scouting = True
        useless = 0
        while self.states.count and useless < USELESS:
            runs = self.learnt.runs
            try:
                rows = self._once_still(self._scouted)
            except Stale:
                self._mend()
                continue
            useless = useless + 1 if self.learnt.runs == runs else 0
            few = self._few(rows, chance)
            self.states = States(self.fields.words)
            self.states.add(rows[few], few)
        self.fields.make_room()
        self.learnt.pack()

    def _scouted(self) -> Rows | None:
        """What comes after the states. None if fields moved, for what was not known had to be learnt."""
        rows, learnt = self.states.rows[: self.states.count], self.learnt
        leaves = learnt.leaves(self._trees[: self.tests], rows)
        if leaves is None:
            return None
        leaves = leaves[: self.tests]
        able, outcomes = self._outcomes(leaves, learnt.leaf_count.array[leaves])
        after = learnt.apply(rows[able], outcomes)
        return None if self.renaming.smallest(after) is None else after

    def _few(self, rows: Rows, chance: Random) -> Any:
        """Some of the rows, by place: by chance, but so that each value of a field that is in one is in one of them."""
        count, fields = len(rows), self.fields
        if count <= SCOUTS:
            return np.arange(count)
        sizes = np.array([len(values) for values in fields.values])
        numbers = (rows[:, fields.word] >> fields.shift & fields.mask).astype(np.intp) + (sizes.cumsum() - sizes)
        having = np.full(int(sizes.sum()), -1)
        having[numbers] = np.arange(count)[:, None]
        kept = np.zeros(count, bool)
        kept[having[having >= 0]] = kept[chance.sample(range(count), SCOUTS)] = True
        return kept.nonzero()[0]

    def _visit_all(self) -> None:
        """Visit the states; from the first one again, should what was taken for constant turn out not to be."""
        while not self.exhausted and self.stopped is None:
            self._begin()
            self.scouting = False
            try:
                self._check(0, 1)
                self.stopped = self._too_deep()
                while self.layers[-2] < self.layers[-1] and self.stopped is None:
                    self._visit_layer()
                self.exhausted = self.stopped is None
            except Stale:
                self._mend()

    def _visit_layer(self) -> None:
        start, end = self.layers[-2:]
        part = CHUNK if self.threads == 1 else SHARED
        for at in range(start, end, part):
            before = self.states.count
            self._expand(at, min(at + part, end))
            self._check(before, self.states.count)
            self.report(end - at)
            self.stopped = self._limit()
            if self.stopped:
                return
        self.layers.append(self.states.count)
        self.stopped = self._too_deep()

    def _expand(self, start: int, end: int) -> None:
        self._compile()
        if self.compiled is not None:
            resting, unknown, transitions = self.compiled.expand(start, end)
            self.transitions += transitions
            self._check_at_rest(resting)
            if unknown.size:
                self._expand_these(unknown)
            return
        if not self._is_shared(start, end):
            self._expand_these(np.arange(start, end))
            return
        # What may have to be learnt waits until no thread works.
        resting, unknown = [], []
        for found in self._spread(self._expanded, start, end):
            self._add(found)
            resting.append(found.resting)
            unknown.append(found.unknown)
        self._check_at_rest(np.concatenate(resting))
        self._expand_these(np.concatenate(unknown))

    def _compile(self) -> None:
        """Go on with compiled code, once it is worth it and ready."""
        large = self.compile_from is not None and self.states.count >= self.compiler.worth(self.compile_from)
        if large and self.compiled is None and self.compiler.ready:
            from sim_backend.explore.compressed import compressed

            if not self.fields.arranged:
                self._arrange()
            self._keep(compressed(self.states.rows[: self.states.count], self.states.parent, self.folder, self.threads))
        elif isinstance(self.states, States):
            return
        elif self.states.sprawling:
            self._arrange()

    def _arrange(self) -> None:
        """Let fields lie where states take little room."""
        step = max(1, self.states.count // SAMPLE)
        self.fields.arrange(grouped(self.fields, self.states.rows[: self.states.count : step]))
        self.move()

    def _keep(self, states: States | CompressedStates) -> None:
        self.states = states
        self.compiled = None if isinstance(states, States) else Compiled(self, states)

    def _expand_these(self, states: Any) -> None:
        found = self._once_still(lambda: self._successors(states))
        self._add(found)
        self._check_at_rest(found.resting)

    def _add(self, found: Successors) -> None:
        self.transitions += len(found.rows)
        self.states.add(found.rows, found.parents)

    def _expanded(self, start: int, end: int) -> Successors:
        """In another thread: what comes after these states."""
        found = self._successors(np.arange(start, end))
        assert found is not None
        return found

    def _is_shared(self, start: int, end: int) -> bool:
        return self.threads > 1 and end - start > CHUNK

    def _spread(self, work: Callable[[int, int], Part], start: int, end: int) -> Iterator[Part]:
        """What several threads find out, none of which learns anything."""
        self._once_still(lambda: self.renaming.smallest(self.states.rows[:1]))
        self.learnt.pack_new()
        self.learnt.freeze = True
        try:
            yield from spread(work, start, end, CHUNK, self.threads)
        finally:
            self.learnt.freeze = False

    def _successors(self, states: Any) -> Successors | None:
        """What comes after states. None if fields moved, for what was not known had to be learnt."""
        rows, learnt = self.states.rows[states], self.learnt
        leaves = learnt.leaves(self._trees[: self.tests], rows)
        if leaves is None:
            return None
        known = (leaves > 0).all(axis=0)
        leaves[:, ~known] = 0
        counts = learnt.leaf_count.array[leaves]
        able, outcomes = self._outcomes(leaves, counts)
        after = learnt.apply(rows[able], outcomes)
        smallest = self.renaming.smallest(after)
        if smallest is None:
            return None
        resting = known & ~counts[self._progress].any(axis=0)
        return Successors(smallest, states[able], states[resting], states[~known])

    def _outcomes(self, leaves: Any, counts: Any) -> tuple[Any, Any]:
        """The rows that leaves belong to, by number, and the outcomes that these have, action by action."""
        starts, rows = self.learnt.leaf_start.array, leaves.shape[1]
        places, which = [], []
        for number in range(int(counts.max(initial=0))):
            places.append((counts > number).reshape(-1).nonzero()[0])
            which.append(np.full(len(places[-1]), number))
        if not places:
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        place, chosen = np.concatenate(places), np.concatenate(which)
        if len(places) > 1:
            order = np.argsort(place // rows * len(places) + chosen, kind="stable")
            place, chosen = place.take(order), chosen.take(order)
        return place % rows, starts.take(leaves.reshape(-1).take(place)) + chosen

    def progress(self, rows: Rows) -> Iterator[tuple[int, Any, Rows]]:
        """From states that were all visited, or their likes: each action that is progress, which of the states it is
        possible in (by place), and the states after it; once for each outcome."""
        for number, action in enumerate(self.model.actions):
            if not action.progress:
                continue
            leaves = self.leaves(number, rows)
            counts = self.learnt.leaf_count.array[leaves]
            for which in range(int(counts.max(initial=0))):
                able = np.flatnonzero(counts > which)
                yield number, able, self.learnt.apply(rows[able], self.learnt.leaf_start.array[leaves[able]] + which)

    def true(self, number: int, rows: Rows) -> Any:
        """Of states that were all visited, or their likes: which a property's test is true of."""
        leaves = self.leaves(self.tests + number, rows)
        return self.learnt.leaf_count.array[leaves] > 0

    def true_of_all(self, number: int, states: Any) -> Any:
        """Of states that were all visited: of which a property's test is true, and of all that are like them."""
        true = np.ones(len(states), bool)
        for rows in self.renaming.images(self.states.rows[states]):
            true &= self.true(number, rows)
        return true

    def smallest(self, rows: Rows) -> Rows:
        """Of states that were all visited, or their likes: the ones that stand for them."""
        smallest = self.renaming.smallest(rows)
        if smallest is None:
            raise Stale
        return smallest

    def leaves(self, number: int, rows: Rows) -> Any:
        """What an action or test does with states that were all visited, or their likes: no field and no value in them
        is new."""
        leaves = self.learnt.leaves(np.array([number]), rows)
        if leaves is None or self.learnt.stale or self.renaming.stale:
            raise Stale
        return leaves[0]

    def _tested(self, numbers: Sequence[int], states: Any) -> Iterator[tuple[int, Any]]:
        """Of properties, by number, which states their tests are true of."""

        trees = self.tests + np.array(numbers, np.intp)
        leaves = self._once_still(lambda: self.learnt.leaves(trees, self.states.rows[states]))
        yield from zip(numbers, self.learnt.leaf_count.array[leaves] > 0, strict=True)

    def _check(self, start: int, end: int) -> None:
        """Test the properties of new states."""
        if self.compiled is not None and end > start:
            numbers = list(self._asked(ALWAYS, SOMETIMES))
            asked = [(self.tests + n, self.model.properties[n].kind == SOMETIMES) for n in numbers]
            first, unknown = self.compiled.test(asked, start, end)
            for number, state in zip(numbers, first.tolist(), strict=True):
                if state >= 0:
                    self.found[number] = Finding(state)
            self._check_these(unknown)
            return
        if not self._is_shared(start, end):
            self._check_these(np.arange(start, end))
            return
        unknown = []
        for found, left in self._spread(self._checked, start, end):
            unknown.append(left)
            for number, state in found.items():
                self.found.setdefault(number, Finding(state))
        self._check_these(np.unique(np.concatenate(unknown)))

    def _checked(self, start: int, end: int) -> tuple[dict[int, int], Any]:
        """In another thread: properties, and where they are broken or seen; the states of which not all is known."""
        found, unknown = {}, [np.zeros(0, np.int64)]
        numbers = list(self._asked(ALWAYS, SOMETIMES))
        trees = self.tests + np.array(numbers, np.intp)
        for number, leaves in zip(numbers, self.learnt.leaves(trees, self.states.rows[start:end]), strict=True):
            unknown.append(np.flatnonzero(leaves == 0) + start)
            at = np.flatnonzero((leaves > 0) & self._tells(number, self.learnt.leaf_count.array[leaves] > 0))
            if at.size:
                found[number] = start + int(at[0])
        return found, np.concatenate(unknown)

    def _asked(self, *kinds: str) -> Iterator[int]:
        """The properties of these kinds that are neither broken nor seen yet, by number."""
        for number, asked in enumerate(self.model.properties):
            if number not in self.found and asked.kind in kinds:
                yield number

    def _tells(self, number: int, true: Any) -> Any:
        """Which states break a property, or show it, by what its test is true of."""
        return true if self.model.properties[number].kind == SOMETIMES else ~true

    def _check_these(self, states: Any) -> None:
        if not states.size:
            return
        for number, true in self._tested(list(self._asked(ALWAYS, SOMETIMES)), states):
            at = np.flatnonzero(self._tells(number, true))
            if at.size:
                self.found[number] = Finding(int(states[at[0]]))

    def _check_at_rest(self, states: Any) -> None:
        if not states.size:
            return
        for number, true in self._tested(list(self._asked(AT_REST, EVENTUALLY)), states):
            if not true.all():
                self.found[number] = Finding(int(states[~true][0]), "there, nothing more happens of itself")

    def _look_for_cycles(self) -> None:
        """What is to become true eventually may also be avoided for ever, in a cycle."""
        while self.exhausted:
            asked = [number for number, each in enumerate(self.model.properties) if each.kind == EVENTUALLY]
            self.uncertain = {number for number in asked if number not in self.found}
            try:
                for number in sorted(self.uncertain):
                    state = fair_cycle(self, number)
                    if state is not None:
                        self.found[number] = Finding(state, "there, a cycle can go on for ever", True)
                    self.uncertain.remove(number)
                return
            except Stale:
                self._mend()
                self.exhausted = False
                self._visit_all()

    def _once_still(self, attempt: Callable[[], Any]) -> Any:
        """What the attempt returns once fields do not move under it. Raises Stale."""
        while True:
            outcome = attempt()
            if self.learnt.stale or self.renaming.stale:
                raise Stale
            if self.fields.layout != self.placed:
                self.move()
            elif outcome is not None:
                return outcome

    def move(self) -> None:
        """Pack everything as fields lie now."""
        undisturbed(self._move)

    def _move(self) -> None:
        before = self.placement
        self._keep(self.states.moved(lambda rows: self.fields.moved(rows, before), self.fields.words))
        self.placed, self.placement = self.fields.layout, self.fields.placement()
        self.learnt.pack()

    def _too_deep(self) -> str | None:
        depth = self.limits.depth
        more = self.layers[-2] < self.layers[-1]
        return f"depth of {depth} actions" if depth is not None and more and len(self.layers) - 2 >= depth else None

    def _limit(self) -> str | None:
        limits = self.limits
        found = (self.model.properties[number] for number in self.found)
        if limits.first and any(asked.kind != SOMETIMES and asked.name not in limits.known for asked in found):
            return "a property is broken"
        if limits.states is not None and self.states.count >= limits.states:
            return f"budget of {limits.states} states"
        if limits.memory is not None and self.states.bytes >= limits.memory:
            return f"budget of {limits.memory >> 20} MiB"
        return None

    def report(self, queue: int) -> None:
        """Tell how far it is, if it is time to."""
        now = monotonic()
        if self.tell is not None and now - self.told > EVERY:
            self.told = now
            self.tell(Progress(self.states.count, self.transitions, len(self.layers) - 1, queue, now - self.began))

    def predecessors(self, start: int, end: int, states: Any) -> dict[int, int]:
        """For states of the next layer, which one of the states from `start` to `end` each comes after."""
        if self.compiled is not None:
            return self.compiled.predecessors(start, end, states)
        found: dict[int, int] = {}
        for at in range(start, end, CHUNK):
            after = self._once_still(partial(self._successors, np.arange(at, min(at + CHUNK, end))))
            numbers = self.states.find(after.rows)
            for which in np.flatnonzero(np.isin(numbers, states)).tolist():
                found.setdefault(int(numbers[which]), int(after.parents[which]))
        return found

    def _verdicts(self, exhausted: bool) -> tuple[Verdict, ...]:
        paths: dict[int, list[int]] = {}
        with suppress(Stale):
            paths = paths_to(self, [finding.state for finding in self.found.values()])
        return tuple(self._verdict(number, exhausted, paths) for number in range(len(self.model.properties)))

    def _verdict(self, number: int, exhausted: bool, paths: Mapping[int, list[int]]) -> Verdict:
        asked, finding = self.model.properties[number], self.found.get(number)
        if finding is None:
            verdict = (
                UNKNOWN if not exhausted or number in self.uncertain else NOT_SEEN if asked.kind == SOMETIMES else HOLDS
            )
            return Verdict(asked.name, asked.kind, verdict)
        verdict = SEEN if asked.kind == SOMETIMES else BROKEN
        try:
            moves = moves_along(self, paths[finding.state])
        except (Stale, KeyError):
            return Verdict(asked.name, asked.kind, UNKNOWN)
        return Verdict(asked.name, asked.kind, verdict, finding.why, moves, finding.cycle)
