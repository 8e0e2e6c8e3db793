"""What can go on for ever: fair cycles of states in which something that has to become true does not.

A cycle is fair (weakly) if each action that is progress and possible all the way round is taken somewhere in it. The
environment does nothing in it. Strongly connected components are SciPy's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sim_backend.explore.search import Search

BATCH = 1 << 16


def fair_cycle(search: Search, number: int) -> tuple[int | None, bool]:
    """The first state found that lies on a fair cycle in which a property's test is false all the way; None: none does.

    The second value is false if that is not certain: with symmetry, an action of a cycle cannot be told from its like,
    so that whether a cycle is fair is not known. States without any progress are no cycle.
    """
    edges = _endless(_edges(search, _where_false(search, number)))
    if not edges.size:
        return None, True
    if search.renaming.permutations:
        return None, False
    return _first_fair(search, edges), True


def _where_false(search: Search, number: int) -> Any:
    found = []
    for start in range(0, search.states.count, BATCH):
        end = min(start + BATCH, search.states.count)
        found.append(np.flatnonzero(~search.holds(number, slice(start, end))) + start)
    return np.concatenate(found)


def _edges(search: Search, states: Any) -> Any:
    """Progress between these states: state, state after, action; a column each."""
    among = np.zeros(search.states.count, bool)
    among[states] = True
    made = [np.zeros((3, 0), np.int64)]
    for start in range(0, len(states), BATCH):
        batch = states[start : start + BATCH]
        for action, able, after in search.progress(batch):
            inside = among[after]
            number = np.full(int(inside.sum()), action)
            made.append(np.stack((batch[able[inside]], after[inside], number)))
    return np.concatenate(made, axis=1)


def _endless(edges: Any) -> Any:
    """The edges without those that lead to where no edge leads on, again and again: each of the rest can be part of a
    walk without end."""
    while edges.size:
        going_on = np.zeros(int(edges[:2].max()) + 1, bool)
        going_on[edges[0]] = True
        kept = going_on[edges[1]]
        if kept.all():
            break
        edges = edges[:, kept]
    return edges


def _first_fair(search: Search, edges: Any) -> int | None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, ends = np.unique(edges[:2], return_inverse=True)
    ends = ends.reshape(2, -1)
    graph = coo_array((np.ones(ends.shape[1], bool), (ends[0], ends[1])), shape=(len(nodes), len(nodes)))
    _, part = connected_components(graph.tocsr(), connection="strong")
    within = part[ends[0]] == part[ends[1]]
    first: int | None = None
    for component in np.unique(part[ends[0][within]]):
        members = nodes[part == component]
        taken = set(edges[2][within & (part[ends[0]] == component)].tolist())
        if _always_possible(search, members) <= taken and (first is None or members[0] < first):
            first = int(members[0])
    return first


def _always_possible(search: Search, states: Any) -> set[int]:
    """The actions that are progress and possible in all of these states."""
    possible: dict[int, set[int]] = {}
    for action, able, _ in search.progress(states):
        possible.setdefault(action, set()).update(able.tolist())
    return {action for action, places in possible.items() if len(places) == len(states)}
