"""How one gets to a state that was visited."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_backend.explore.transitions import Outcome
from sim_backend.memory.errors import SimError

if TYPE_CHECKING:
    from sim_backend.explore.search import Search


def paths_to(search: Search, states: Iterable[int]) -> dict[int, list[int]]:
    """For each of these states the states of a shortest history that leads to it, from the first one on.

    What the search did not note is found again: a layer's states are expanded once more until all that are asked for
    have come after one.

    Raises:
        Stale: the search was interrupted before it could begin again.
    """
    asked = set(states)
    noted = len(search.states.parent[: search.states.count])
    before: dict[int, int] = {}
    wanted = {state for state in asked if state >= noted}
    while wanted:
        layer = bisect_right(search.layers, max(wanted)) - 1
        start, end = search.layers[layer - 1 : layer + 1]
        here = np.array(sorted(state for state in wanted if state >= end))
        found = search.predecessors(start, end, here)
        before |= found
        wanted = wanted.difference(here.tolist()) | {state for state in found.values() if state >= noted}
    return {state: _path(search, state, before) for state in asked}


def moves_to(search: Search, state: int) -> tuple[Any, ...]:
    """The notes of the actions of a shortest history that leads to a state. Raises as `moves_along`."""
    return moves_along(search, paths_to(search, [state])[state])


def _path(search: Search, state: int, before: dict[int, int]) -> list[int]:
    path = [state]
    while path[-1]:
        state = path[-1]
        path.append(before[state] if state in before else int(search.states.parent[state]))
    return path[::-1]


def moves_along(search: Search, path: list[int]) -> tuple[Any, ...]:
    """The notes of actions that lead from state to state. Raises as `along`."""
    return tuple(outcome.note for _, outcome in along(search, path))


def along(search: Search, path: list[int]) -> Iterator[tuple[Any, Outcome]]:
    """The outcomes that lead from state to state, each with the row after it.

    With symmetry, only the smallest states of their kind are known: the history goes through states that are like them.

    Raises:
        SimError: a symmetry of the model is none.
        Stale: the search was interrupted before it could begin again.
    """
    while not search.renaming.stale and search.renaming.smallest(search.states.rows[:1]) is None:
        search.move()
    row = search.states.rows[path[0]]
    for step in path[1:]:
        for after, outcome in successors(search, row):
            if (search.smallest(after[None])[0] == search.states.rows[step]).all():
                row = after
                yield row, outcome
                break
        else:
            raise SimError(
                "a symmetry of the model is none: two states that it takes for alike are not; explore without it"
            )


def successors(search: Search, row: Any) -> Iterator[tuple[Any, Outcome]]:
    """What can be done in a state that was expanded, or in one that is like it: each outcome with the row after it."""
    learnt = search.learnt
    for number in range(search.tests):
        leaf = search.leaves(number, row[None])[0]
        start = int(learnt.leaf_start.array[leaf])
        for which in range(start, start + int(learnt.leaf_count.array[leaf])):
            yield learnt.apply(row[None], np.array([which]))[0], learnt.outcomes[which]
