"""How one gets to a state that was visited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_backend.explore.transitions import Outcome
from sim_backend.memory.errors import SimError

if TYPE_CHECKING:
    from sim_backend.explore.search import Search


def moves_to(search: Search, state: int) -> tuple[Any, ...]:
    """The notes of the actions of a shortest history that leads to a state.

    Raises:
        SimError: a symmetry of the model is none.
        Stale: the search was interrupted before it could begin again.
    """
    path = [state]
    while search.states.parent[path[-1]] >= 0:
        path.append(int(search.states.parent[path[-1]]))
    path.reverse()
    if not search.renaming.permutations:
        return tuple(search.learnt.outcomes[search.states.via[step]].note for step in path[1:])
    return _followed(search, path)


def _followed(search: Search, path: list[int]) -> tuple[Any, ...]:
    """A history through states of which only the smallest of their kind are known."""
    if search.stopped:
        search.move()
    while not search.renaming.stale and search.renaming.smallest(search.states.rows[:1]) is None:
        search.move()
    row, notes = search.states.rows[path[0]], []
    for step in path[1:]:
        for after, outcome in _after(search, row):
            if (search.smallest(after[None])[0] == search.states.rows[step]).all():
                row = after
                notes.append(outcome.note)
                break
        else:
            raise SimError(
                "a symmetry of the model is none: two states that it takes for alike are not; explore without it"
            )
    return tuple(notes)


def _after(search: Search, row: Any) -> Iterator[tuple[Any, Outcome]]:
    learnt = search.learnt
    for number in range(search.tests):
        leaf = search.leaves(number, row[None])[0]
        start = int(learnt.leaf_start.array[leaf])
        for which in range(start, start + int(learnt.leaf_count.array[leaf])):
            yield learnt.apply(row[None], np.array([which]))[0], learnt.outcomes[which]
