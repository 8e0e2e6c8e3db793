"""The part of the state graph around a history: its states, and what else could have been done in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sim_backend.explore.paths import along, paths_to, successors
from sim_backend.explore.search import Search
from sim_backend.explore.transitions import Outcome
from structs.frozen import frozen


@dataclass
class Node:
    """A state.

    Attributes:
        row: as the search has it.
        depth: how many actions lead there.
        on_history: whether the history goes through it.
        enabled: the actions that can be done there, by name; empty also where the search did not look.
    """

    row: Any
    depth: int
    on_history: bool
    enabled: tuple[str, ...]


@frozen
class Edge:
    """An action that leads from one node to another, by their numbers."""

    start: int
    end: int
    action: str
    on_history: bool


@dataclass
class Graph:
    """Nodes by number, the first state first, and edges."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


def around(search: Search, property: str) -> Graph | None:
    """The graph around the shortest history to where a property is broken, or seen; None if there is none.

    Raises:
        Stale: the search was interrupted before it could begin again.
    """
    properties = search.model.properties
    found = [each.state for number, each in search.found.items() if properties[number].name == property]
    if not found:
        return None
    path = min(paths_to(search, found).values(), key=len)
    return _Drawn(search).around(path)


class _Drawn:
    def __init__(self, search: Search) -> None:
        self.search, self.graph = search, Graph()
        self.numbers: dict[bytes, int] = {}

    def around(self, path: list[int]) -> Graph:
        rows = [self.search.states.rows[path[0]]]
        actions = []
        for row, outcome in along(self.search, path):
            rows.append(row)
            actions.append(self._name(outcome))
        numbers = [self._node(row, depth, True) for depth, row in enumerate(rows)]
        for depth, (number, row) in enumerate(zip(numbers, rows, strict=True)):
            taken = (numbers[depth + 1], actions[depth]) if depth < len(actions) else None
            for after, outcome in successors(self.search, row):
                edge = self._node(after, depth + 1, False), self._name(outcome)
                self.graph.edges.append(Edge(number, *edge, edge == taken))
        return self.graph

    def _name(self, outcome: Outcome) -> str:
        name: str = self.search.model.actions[outcome.action].name
        return name

    def _node(self, row: Any, depth: int, on_history: bool) -> int:
        key = row.tobytes()
        if key not in self.numbers:
            self.numbers[key] = len(self.graph.nodes)
            names = tuple(self._name(outcome) for _, outcome in successors(self.search, row))
            self.graph.nodes.append(Node(row, depth, on_history, tuple(dict.fromkeys(names))))
        return self.numbers[key]
