"""What an action does, learnt once for each combination of values that it reads, then applied to all states at once.

An action reads a few fields of a state and changes a few. What it does depends on what it reads only, so it is run (as
the Python function that it is) once for each combination that occurs, and the outcome is kept in a decision tree: a
node is a field to be read, its children are by number, a leaf is the list of outcomes. Millions of states are then led
down the tree together, by array operations. (LTSmin calls this transition caching.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields, Rows
from sim_backend.explore.model import Key
from sim_backend.explore.view import View
from structs.frozen import frozen

FIRST = 1 << 12
AT_ONCE = 1 << 16
"""So many rows, counted once for each action, are led down together: what is needed for that stays in the cache."""


@frozen
class Outcome:
    """One thing that an action can do: fields and the numbers that they get, what was drawn, and what was done."""

    action: int
    numbers: dict[int, int]
    drawn: tuple[int, ...]
    note: Any


class Growing:
    """An array that grows at its end."""

    def __init__(self, *shape: int, dtype: Any) -> None:
        self._whole = np.zeros((FIRST, *shape), dtype)
        self.count = 0

    @property
    def array(self) -> Any:
        """What is in it."""
        return self._whole[: self.count]

    def extend(self, number: int) -> int:
        """Add so many zeros; returns where they begin."""
        start, self.count = self.count, self.count + number
        if self.count > len(self._whole):
            whole = np.zeros((max(self.count, 2 * len(self._whole)), *self._whole.shape[1:]), self._whole.dtype)
            whole[:start] = self._whole[:start]
            self._whole = whole
        return start

    def append(self, value: Any) -> int:
        """Add one; returns its place."""
        place = self.extend(1)
        self._whole[place] = value
        return place


@frozen
class Trees:
    """All that was learnt, as arrays: the decision trees of the actions, and what their outcomes do to a row.

    From `root[action]` on, a number above 0 is a node, below 0 a leaf's, negated, and 0 is not known. A node reads a
    field; the number there, if it is less than `size[node]`, leads to `child[base[node] + number]`. A leaf has the
    outcomes `leaf_start[leaf]` and so on, `leaf_count[leaf]` of them: none if the action is not possible. An outcome
    makes `row & ~clear[outcome] | bits[outcome]` of a row.
    """

    root: Any
    field: Any
    base: Any
    size: Any
    child: Any
    leaf_start: Any
    leaf_count: Any
    clear: Any
    bits: Any


class Transitions:
    """What the actions of a model do.

    Args:
        act: runs an action on a view: returns whether it could act, and a note of what it did.

    Attributes:
        leaf_start, leaf_count: by leaf, its outcomes.
        outcomes: all outcomes.
        changes: nodes, and the numbers there that lead elsewhere since, in order.
        runs: how often an action was run.
        freeze: whether nothing is to be learnt now; what is not known leads to leaf 0.
    """

    def __init__(self, fields: Fields, act: Callable[[int, View], tuple[bool, Any]], actions: int) -> None:
        self.fields = fields
        self.view = View(fields)
        self.runs = 0
        self.freeze = False
        self._act = act
        self._layout = -1
        self._root = np.zeros(actions, np.int64)
        self._field = Growing(dtype=np.intp)
        self._base = Growing(dtype=np.int64)
        self._size = Growing(dtype=np.int64)
        self._child = Growing(dtype=np.int32)
        self.leaf_start = Growing(dtype=np.int64)
        self.leaf_count = Growing(dtype=np.int64)
        # Number 0 is none of them.
        for numbered in (self._field, self._base, self._size, self._child, self.leaf_start, self.leaf_count):
            numbered.append(0)
        self.outcomes: list[Outcome] = []
        self._ways: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
        """By leaf, the action, and what it read."""
        self.changes: list[tuple[int, int]] = []
        self._takers: dict[Key, list[int]] = {}
        """The leaves that take a key for constant."""
        self.pack()

    def mend(self) -> None:
        """Drop what was learnt by taking for constant what is not."""
        fields = self.fields
        for key in fields.varying:
            for leaf in self._takers.pop(key, ()):
                self._drop(leaf)
        fields.constants -= fields.varying
        fields.varying.clear()

    def _drop(self, leaf: int) -> None:
        """Cut a leaf off, and the nodes that led to nothing else: what is read there may be another field now."""
        action, reads = self._ways[leaf]
        places, node = [], int(self._root[action])
        for _, number in reads:
            if node <= 0:
                return
            places.append((node, number))
            node = int(self._child.array[int(self._base.array[node]) + number])
        if node != -leaf:
            return
        for node, number in reversed(places):
            base = int(self._base.array[node])
            self._child.array[base + number] = 0
            self.changes.append((node, number))
            if self._child.array[base : base + int(self._size.array[node])].any():
                return
        self._root[action] = 0

    @property
    def trees(self) -> Trees:
        """What was learnt so far, for the fields as they lie now."""
        self.pack_new()
        learnt = self._field, self._base, self._size, self._child, self.leaf_start, self.leaf_count
        return Trees(self._root.copy(), *(each.array for each in (*learnt, self._clear, self._bits)))

    @property
    def stale(self) -> bool:
        """Whether something that actions took for constant is not: the search has to begin again."""
        return bool(self.fields.varying)

    def pack(self) -> None:
        """Pack the outcomes again, if fields have moved."""
        if self._layout != self.fields.layout:
            self._layout = self.fields.layout
            self._clear, self._bits = (Growing(self.fields.words, dtype=np.uint64) for _ in range(2))

    def pack_new(self) -> None:
        """Pack the outcomes that were learnt since. Before several threads apply any, it has to be done."""
        outcomes = self.outcomes[self._clear.count :]
        if outcomes:
            clear, bits = self.fields.pack([outcome.numbers for outcome in outcomes])
            for packed, new in ((self._clear, clear), (self._bits, bits)):
                start = packed.extend(len(outcomes))
                packed.array[start:] = new

    def leaves(self, actions: Any, rows: Rows) -> Any:
        """By action, and by row, the leaf that it leads to. None if fields moved, for what was not known had to be
        learnt."""
        at_once = max(AT_ONCE // max(len(rows), 1), 1)
        found = []
        for start in range(0, len(actions), at_once):
            leaves = self._walk(actions[start : start + at_once], rows)
            if leaves is None:
                return None
            found.append(leaves)
        return np.concatenate(found).reshape(len(actions), len(rows)) if found else np.zeros((0, len(rows)), np.int64)

    def _walk(self, actions: Any, rows: Rows) -> Any:
        """`leaves`, for a few actions."""
        count, words = rows.shape
        if not self.freeze and count:
            for action in actions[self._root[actions] == 0].tolist():
                if not self._learn(action, rows[0]):
                    return None
        nodes = self._root[actions].repeat(count)
        result = -nodes
        active = (nodes > 0).nonzero()[0]
        nodes, starts = nodes.take(active), active % count * words
        values, (field, base, size, child) = rows.reshape(-1), self._nodes()
        word, shift, mask = self.fields.word, self.fields.shift, self.fields.mask
        while active.size:
            of = field.take(nodes)
            bits = values.take(starts + word.take(of))
            bits >>= shift.take(of)
            bits &= mask.take(of)
            places = np.minimum(bits.view(np.int64), size.take(nodes)) + base.take(nodes)
            reached = child.take(places)
            result[active] = -reached
            inner = (reached >= 0).nonzero()[0]
            active, starts, reached = active.take(inner), starts.take(inner), reached.take(inner).astype(np.int64)
            unknown = (reached == 0).nonzero()[0]
            if unknown.size:
                # What is not known is learnt, and looked for at the same node again; all else goes on.
                if self.freeze:
                    known = reached.nonzero()[0]
                    active, starts, reached = active.take(known), starts.take(known), reached.take(known)
                else:
                    _, first = np.unique(places.take(inner.take(unknown)), return_index=True)
                    for which in active.take(unknown.take(first)).tolist():
                        if not self._learn(int(actions[which // count]), rows[which % count]):
                            return None
                    reached[unknown] = nodes.take(inner.take(unknown))
                    field, base, size, child = self._nodes()
            nodes = reached
        return result

    def _nodes(self) -> tuple[Any, Any, Any, Any]:
        """By node its field, and where the numbers there lead; as far as is known now."""
        return self._field.array, self._base.array, self._size.array, self._child.array

    def apply(self, rows: Rows, outcome: Any) -> Rows:
        """Rows after outcomes, by number."""
        self.pack_new()
        return rows & ~self._clear.array[outcome] | self._bits.array[outcome]

    def _learn(self, action: int, row: Any) -> bool:
        """Run the action on a state; False if fields have moved, so that rows must be packed again."""
        fields, view = self.fields, self.view
        self.runs += 1
        reads: dict[int, int] = {}
        constants: set[Key] = set()
        outcomes = []
        scripts: list[tuple[int, ...]] = [()]
        while scripts:
            script = scripts.pop()
            view.show(row, script)
            acted, note = self._act(action, view)
            drawn = tuple(chosen for chosen, _ in view.drawn)
            for place in range(len(script), len(drawn)):
                scripts += [(*drawn[:place], other) for other in range(1, view.drawn[place][1])]
            if acted:
                outcomes.append((view.changes(), drawn, note))
            reads.update(view.reads)
            constants |= view.constants
        fields.constants |= constants
        for changes, _, _ in outcomes:
            for key in changes:
                if key not in fields.number:
                    fields.add(key)
        start = len(self.outcomes)
        for changes, drawn, note in outcomes:
            numbers = {fields.number[key]: fields.intern(fields.number[key], value) for key, value in changes.items()}
            self.outcomes.append(Outcome(action, numbers, drawn, note))
        leaf = self.leaf_start.append(start)
        self.leaf_count.append(len(outcomes))
        self._ways.append((action, list(reads.items())))
        for key in constants:
            self._takers.setdefault(key, []).append(leaf)
        self._insert(action, self._ways[leaf][1], leaf)
        return fields.layout == self._layout

    def _insert(self, action: int, reads: list[tuple[int, int]], leaf: int) -> None:
        if not reads:
            self._root[action] = -leaf
            return
        if self._root[action] == 0:
            self._root[action] = self._node(reads[0][0])
        node = self._root[action]
        for (_, number), following in zip(reads, [*reads[1:], None], strict=True):
            place = self._place(node, number)
            if following is None:
                self._child.array[place] = -leaf
                self.changes.append((node, number))
            elif self._child.array[place] == 0:
                new = self._node(following[0])
                self._child.array[place] = new
                self.changes.append((node, number))
            node = int(self._child.array[place])

    def _node(self, field: int) -> int:
        size = 1 << max(len(self.fields.values[field]) - 1, 1).bit_length()
        self._base.append(self._child.extend(size + 1))
        self._size.append(size)
        return self._field.append(field)

    def _place(self, node: int, number: int) -> int:
        size = int(self._size.array[node])
        if number >= size:
            bigger = 1 << number.bit_length()
            base = self._child.extend(bigger + 1)
            old = int(self._base.array[node])
            self._child.array[base : base + size] = self._child.array[old : old + size]
            self._base.array[node], self._size.array[node] = base, bigger
        return int(self._base.array[node]) + number
