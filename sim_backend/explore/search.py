"""Breadth-first search through all states of a model: what is found first is found by a shortest history."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields, Rows
from sim_backend.explore.liveness import fair_cycle
from sim_backend.explore.model import ALWAYS, AT_REST, EVENTUALLY, SOMETIMES, Model
from sim_backend.explore.result import BROKEN, HOLDS, NOT_SEEN, SEEN, UNKNOWN, Result, Verdict
from sim_backend.explore.states import States
from sim_backend.explore.symmetry import Symmetry
from sim_backend.explore.transitions import Outcome, Transitions
from sim_backend.explore.view import View

CHUNK = 1 << 15
EVERY = 0.5


@dataclass(frozen=True)
class Limits:
    """When to stop: so many states, actions in a history, bytes; None is no limit. `first`: when something is broken."""

    states: int | None = None
    depth: int | None = None
    memory: int | None = None
    first: bool = False


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


@dataclass
class Search:
    """One exploration.

    Args:
        symmetry: visit only one of the states that a model's symmetries turn into each other.
        tell: is told of the progress about twice a second.
    """

    model: Model
    limits: Limits = field(default_factory=Limits)
    symmetry: bool = True
    tell: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        self.fields = Fields(self.model.initial)
        self.tests = len(self.model.actions)
        self.learnt = Transitions(self.fields, self._act, self.tests + len(self.model.properties))
        self.found: dict[int, Finding] = {}
        self.uncertain: set[int] = set()
        self.stopped: str | None = None

    def _act(self, number: int, view: View) -> tuple[bool, Any]:
        if number >= self.tests:
            return bool(self.model.properties[number - self.tests].test(view)), None
        outcome: Any = self.model.actions[number].act(view)
        return outcome if isinstance(outcome, tuple) else (bool(outcome), number)

    def run(self) -> Result:
        """Explore until every state was visited, a limit is reached, or Ctrl-C."""
        self.began = self.told = monotonic()
        while not (self._visit_all() and self._look_for_cycles()):
            pass
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
            tuple(self._verdict(number, exhausted) for number in range(len(self.model.properties))),
        )

    def _visit_all(self) -> bool:
        """Visit the states; False if that has to begin again, for what was taken for constant is not."""
        self.learnt.forget()
        self.states = States(self.fields.words)
        self.placed, self.placement = self.fields.layout, self.fields.placement()
        self.renaming = Symmetry(self.fields, self.model.symmetries if self.symmetry else ())
        self.transitions = 0
        self.exhausted = False
        self.found.clear()
        self.states.add(np.zeros((1, self.fields.words), np.uint64), np.full(1, -1), np.full(1, -1))
        self.layers = [0, 1]
        try:
            if not self._check(0, 1):
                return False
            self.stopped = self._too_deep()
            while self.layers[-2] < self.layers[-1] and self.stopped is None:
                if not self._visit_layer():
                    return False
            self.exhausted = self.stopped is None
        except KeyboardInterrupt:
            self.stopped = "interrupted"
            self._move()
        return True

    def _visit_layer(self) -> bool:
        start, end = self.layers[-2:]
        for at in range(start, end, CHUNK):
            before = self.states.count
            if not self._expand(at, min(at + CHUNK, end)) or not self._check(before, self.states.count):
                return False
            self._report(end - at)
            self.stopped = self._limit()
            if self.stopped:
                return True
        self.layers.append(self.states.count)
        self.stopped = self._too_deep()
        return True

    def _expand(self, start: int, end: int) -> bool:
        successors = self._once_still(lambda: self._successors(start, end))
        if successors is None:
            return False
        rows, parents, outcomes, resting = successors
        self.transitions += len(rows)
        self.states.add(rows, parents, outcomes)
        return self._check_at_rest(resting)

    def _successors(self, start: int, end: int) -> tuple[Rows, Any, Any, Any] | None:
        """The states after one action, the states and outcomes that they come from; and the states without progress."""
        rows, learnt = self.states.rows[start:end], self.learnt
        moving = np.zeros(len(rows), bool)
        made = []
        for number, action in enumerate(self.model.actions):
            leaves = learnt.leaves(number, rows)
            if leaves is None:
                return None
            counts = learnt.leaf_count.array[leaves]
            if action.progress:
                moving |= counts > 0
            for which in range(int(counts.max(initial=0))):
                able = np.flatnonzero(counts > which)
                outcomes = learnt.leaf_start.array[leaves[able]] + which
                made.append((learnt.apply(rows[able], outcomes), able + start, outcomes))
        resting = np.flatnonzero(~moving) + start
        if not made:
            return rows[:0], resting[:0], resting[:0], resting
        after, parents, outcomes = (np.concatenate(parts) for parts in zip(*made, strict=True))
        smallest = self.renaming.smallest(after)
        return None if smallest is None else (smallest, parents, outcomes, resting)

    def progress(self, rows: Rows) -> Iterator[tuple[int, Any, Rows]]:
        """From states that were all visited, or their likes: each action that is progress, which of the states it is
        possible in (by place), and the states after it; once for each outcome."""
        for number, action in enumerate(self.model.actions):
            if not action.progress:
                continue
            leaves = self._known(number, rows)
            counts = self.learnt.leaf_count.array[leaves]
            for which in range(int(counts.max(initial=0))):
                able = np.flatnonzero(counts > which)
                yield number, able, self.learnt.apply(rows[able], self.learnt.leaf_start.array[leaves[able]] + which)

    def true(self, number: int, rows: Rows) -> Any:
        """Of states that were all visited, or their likes: which a property's test is true of."""
        leaves = self._known(self.tests + number, rows)
        return self.learnt.leaf_count.array[leaves] > 0

    def smallest(self, rows: Rows) -> Rows:
        """Of states that were all visited, or their likes: the ones that stand for them."""
        smallest = self.renaming.smallest(rows)
        if smallest is None:
            raise Stale
        return smallest

    def _known(self, number: int, rows: Rows) -> Any:
        """The leaves of states that were all visited, or their likes: no field and no value in them is new."""
        leaves = self.learnt.leaves(number, rows)
        if leaves is None or self.learnt.stale or self.renaming.stale:
            raise Stale
        return leaves

    def holds(self, number: int, states: Any) -> Any:
        """Whether a property's test is true of states, by number; None if the search has to begin again."""

        def attempt() -> Any:
            leaves = self.learnt.leaves(self.tests + number, self.states.rows[states])
            return None if leaves is None else self.learnt.leaf_count.array[leaves] > 0

        return self._once_still(attempt)

    def _check(self, start: int, end: int) -> bool:
        """Test the properties of new states; False if the search has to begin again."""
        for number, asked in enumerate(self.model.properties):
            if number in self.found or asked.kind not in (ALWAYS, SOMETIMES):
                continue
            true = self.holds(number, slice(start, end))
            if true is None:
                return False
            at = np.flatnonzero(true if asked.kind == SOMETIMES else ~true)
            if at.size:
                self.found[number] = Finding(start + int(at[0]))
        return True

    def _check_at_rest(self, states: Any) -> bool:
        for number, asked in enumerate(self.model.properties):
            if number in self.found or asked.kind not in (AT_REST, EVENTUALLY) or not states.size:
                continue
            true = self.holds(number, states)
            if true is None:
                return False
            if not true.all():
                self.found[number] = Finding(int(states[~true][0]), "and nothing more happens of itself")
        return True

    def _look_for_cycles(self) -> bool:
        """What is to become true eventually may also be avoided for ever, in a cycle. False if the search has to begin
        again."""
        if not self.exhausted:
            return True
        asked = [number for number, each in enumerate(self.model.properties) if each.kind == EVENTUALLY]
        self.uncertain = {number for number in asked if number not in self.found}
        try:
            for number in sorted(self.uncertain):
                state = fair_cycle(self, number)
                if state is not None:
                    self.found[number] = Finding(state, "and that can go on for ever", True)
                self.uncertain.remove(number)
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except Stale:
            return False
        return True

    def _once_still(self, attempt: Callable[[], Any]) -> Any:
        """What the attempt returns once fields do not move under it; None if the search has to begin again."""
        while True:
            outcome = attempt()
            if self.learnt.stale or self.renaming.stale:
                return None
            if self.fields.layout != self.placed:
                self._move()
            elif outcome is not None:
                return outcome

    def _move(self) -> None:
        """Pack everything as fields lie now."""
        self.states.move(self.fields, self.placement)
        self.placed, self.placement = self.fields.layout, self.fields.placement()
        self.learnt.pack()

    def _too_deep(self) -> str | None:
        depth = self.limits.depth
        more = self.layers[-2] < self.layers[-1]
        return f"depth of {depth} actions" if depth is not None and more and len(self.layers) - 2 >= depth else None

    def _limit(self) -> str | None:
        limits = self.limits
        if limits.first and any(self.model.properties[number].kind != SOMETIMES for number in self.found):
            return "a property is broken"
        if limits.states is not None and self.states.count >= limits.states:
            return f"budget of {limits.states} states"
        if limits.memory is not None and self.states.bytes >= limits.memory:
            return f"budget of {limits.memory >> 20} MiB"
        return None

    def _report(self, queue: int) -> None:
        now = monotonic()
        if self.tell is not None and now - self.told > EVERY:
            self.told = now
            self.tell(Progress(self.states.count, self.transitions, len(self.layers) - 1, queue, now - self.began))

    def _verdict(self, number: int, exhausted: bool) -> Verdict:
        asked, finding = self.model.properties[number], self.found.get(number)
        if finding is None:
            verdict = (
                UNKNOWN if not exhausted or number in self.uncertain else NOT_SEEN if asked.kind == SOMETIMES else HOLDS
            )
            return Verdict(asked.name, asked.kind, verdict)
        verdict = SEEN if asked.kind == SOMETIMES else BROKEN
        try:
            moves = self.history(finding.state)
        except Stale:
            return Verdict(asked.name, asked.kind, UNKNOWN)
        return Verdict(asked.name, asked.kind, verdict, finding.why, moves, finding.cycle)

    def history(self, state: int) -> tuple[Any, ...]:
        """The notes of the actions of a shortest history that leads to a state."""
        path = [state]
        while self.states.parent[path[-1]] >= 0:
            path.append(int(self.states.parent[path[-1]]))
        path.reverse()
        if not self.renaming.permutations:
            return tuple(self.learnt.outcomes[self.states.via[step]].note for step in path[1:])
        return self._followed(path)

    def _followed(self, path: list[int]) -> tuple[Any, ...]:
        """A history through states of which only the smallest of their kind are known.

        Raises:
            Stale: the search was interrupted before it could begin again.
        """
        if self.stopped:
            self._move()
        while not self.renaming.stale and self.renaming.smallest(self.states.rows[:1]) is None:
            self._move()
        row, notes = self.states.rows[path[0]], []
        for step in path[1:]:
            for after, outcome in self._after(row):
                if (self.smallest(after[None])[0] == self.states.rows[step]).all():
                    row = after
                    notes.append(outcome.note)
                    break
            else:
                raise ValueError("a symmetry of the model is none")
        return tuple(notes)

    def _after(self, row: Any) -> Iterator[tuple[Any, Outcome]]:
        for number in range(self.tests):
            leaf = self._known(number, row[None])[0]
            start = int(self.learnt.leaf_start.array[leaf])
            for which in range(start, start + int(self.learnt.leaf_count.array[leaf])):
                yield self.learnt.apply(row[None], np.array([which]))[0], self.learnt.outcomes[which]
