"""What can go on for ever: fair cycles of states in which something that has to become true does not.

A cycle is fair (weakly) if each action that is progress and possible all the way round is taken somewhere in it. The
environment does nothing in it. A strongly connected component has a fair cycle if and only if the walk through all of
it is one, for in a part of it no less is possible all the way, and no more is taken.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_backend.explore.states import States

if TYPE_CHECKING:
    from sim_backend.explore.search import Search

BATCH = 1 << 16


def fair_cycle(search: Search, number: int) -> int | None:
    """The first state found that lies on a fair cycle in which a property's test is false all the way; None: none does.

    States without any progress are no cycle. With symmetry, a cycle among the states that stand for all may belong to
    longer ones, in which other actions are taken, and what is tested may be true of a state and not of its likes: the
    few states that may lie on cycles are taken with all their likes.

    Raises:
        Stale: the search has to begin again.
    """
    if search.compiled is not None:
        endless = search.compiled.endless(number)
    else:
        endless = _endless(_edges(search, _where_false(search, number)))
    if not endless.size:
        return None
    table = States(search.fields.words)
    for rows in search.renaming.images(search.states.rows[endless]):
        false = np.flatnonzero(~search.true(number, rows))
        table.add(rows[false], endless[false])
    return _first_fair(search, table)


def _where_false(search: Search, number: int) -> Any:
    """The states that have a like (or are one) of which a test is false."""
    found = []
    for start in range(0, search.states.count, BATCH):
        search.report(search.states.count - start)
        end = min(start + BATCH, search.states.count)
        found.append(np.flatnonzero(~search.true_of_all(number, np.arange(start, end))) + start)
    return np.concatenate(found)


def _edges(search: Search, states: Any) -> Any:
    """Progress between these states: state and state after; a column each."""
    among = np.zeros(search.states.count, bool)
    among[states] = True
    made = [np.zeros((2, 0), np.int32)]
    for start in range(0, len(states), BATCH):
        search.report(len(states) - start)
        batch = states[start : start + BATCH]
        for _, able, rows in search.progress(search.states.rows[batch]):
            after = search.states.find(search.smallest(rows))
            inside = among[after]
            made.append(np.stack((batch[able[inside]], after[inside])).astype(np.int32))
    return np.concatenate(made, axis=1)


def _endless(edges: Any) -> Any:
    """The states from which a walk along the edges need not end: those without an edge are dropped again and again."""
    while edges.size:
        going_on = np.zeros(int(edges.max()) + 1, bool)
        going_on[edges[0]] = True
        kept = going_on[edges[1]]
        if kept.all():
            return np.flatnonzero(going_on)
        edges = edges[:, kept]
    return edges[0]


def _first_fair(search: Search, table: States) -> int | None:
    """The smallest `parent` of the states in the table that lie on a fair cycle within it."""
    if not table.count:
        return None
    count = table.count
    possible = np.zeros((len(search.model.actions), count), bool)
    made = []
    for start in range(0, count, BATCH):
        for action, able, rows in search.progress(table.rows[start : min(start + BATCH, count)]):
            possible[action, able + start] = True
            after = table.find(rows)
            inside = after >= 0
            taken = np.full(int(inside.sum()), action)
            made.append(np.stack((able[inside] + start, after[inside], taken)).astype(np.int32))
    edges = np.concatenate(made, axis=1)
    part = components(count, edges)
    parts = int(part.max()) + 1
    within = edges[:, part[edges[0]] == part[edges[1]]]
    size = np.bincount(part, minlength=parts)
    fair = np.zeros(parts, bool)
    fair[part[within[0]]] = True
    for number, where in enumerate(possible):
        neglected = np.bincount(part[where], minlength=parts) == size
        neglected[part[within[0, within[2] == number]]] = False
        fair &= ~neglected
    states = table.parent[:count][fair[part]]
    return int(states.min()) if states.size else None


def components(count: int, edges: Any) -> Any:
    """The strongly connected component of each of `count` states, as a number from 0 on (Tarjan, 1972).

    Args:
        edges: state and state after; a column each.
    """
    order = np.argsort(edges[0], kind="stable")
    after = memoryview(edges[1][order])
    ends: Any = memoryview(np.cumsum(np.bincount(edges[0], minlength=count)).data)
    following = array("q", [0, *ends[: count - 1]])
    met, low, part = (array("i", bytes(4 * count)) for _ in range(3))
    clock = parts = 0
    waiting: list[int] = []
    for start in range(count):
        way = [] if met[start] else [start]
        while way:
            state = way[-1]
            if not met[state]:
                clock += 1
                met[state] = low[state] = clock
                waiting.append(state)
            for at in range(following[state], ends[state]):
                other = after[at]
                if not met[other]:
                    following[state] = at
                    way.append(other)
                    break
                if not part[other]:
                    low[state] = min(low[state], low[other])
            else:
                way.pop()
                if low[state] == met[state]:
                    parts += 1
                    while not part[state]:
                        part[waiting.pop()] = parts
    return np.frombuffer(part, np.int32) - 1
