"""Decision trees as the compiled search walks them (`kernels.Learnt`), brought up to date as more is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim_backend.explore.fields import WORD as WORD_BITS
from sim_backend.explore.kernels import CHILDREN, COUNT, LEAF, LEFT, RIGHT, UNKNOWN, WORD, Learnt
from sim_backend.explore.model import Action
from sim_backend.explore.transitions import Growing, Transitions, Trees


class PackedTrees:
    """What was learnt, packed for the walk. When fields move it is packed anew, else only what is new.

    Numbers that a node has not met are told apart too, as far as its field is wide.
    """

    def __init__(self, learnt: Transitions, actions: Sequence[Action]) -> None:
        self._learnt = learnt
        self._progress = np.array([action.progress for action in actions], bool)
        self._layout: int | None = None

    def now(self) -> Learnt:
        """All that was learnt so far."""
        trees, fields = self._learnt.trees, self._learnt.fields
        if fields.layout != self._layout:
            self._layout = fields.layout
            self._node, self._child = Growing(dtype=np.uint64), Growing(dtype=np.uint64)
            self._first = Growing(dtype=np.int64)
            self._taken = 0
        self._add_nodes(trees)
        changes = self._learnt.changes[self._taken :]
        self._taken += len(changes)
        if changes:
            node, number = np.array(changes).T
            named = self._named(trees, trees.child[trees.base[node] + number])
            self._child.array[self._first.array[node] + number] = named
        most_of_all = len(self._progress) * int(trees.leaf_count.max())
        return Learnt(
            self._named(trees, trees.root), self._child.array, trees.clear, trees.bits, self._progress, most_of_all
        )

    def _add_nodes(self, trees: Trees) -> None:
        fields, before = self._learnt.fields, self._node.count
        new = trees.field[before:]
        # Number 0 is no node's, and there may be no field at all.
        word, shift, width = (
            np.append(each.astype(np.uint64), np.uint64(0))[new]
            for each in (fields.word, fields.shift, np.bitwise_count(fields.mask))
        )
        size = np.left_shift(1, width.astype(np.int64))
        if before == 0:
            size[0] = 0
        first = self._child.count + np.cumsum(size) - size
        start = self._child.extend(int(size.sum()))
        self._child.array[start:] = UNKNOWN
        nodes = first.astype(np.uint64) << CHILDREN | np.uint64(WORD_BITS) - width << RIGHT
        nodes |= np.uint64(WORD_BITS) - shift - width << LEFT | word << WORD
        if before == 0:
            nodes[0] = UNKNOWN
        for growing, values in ((self._node, nodes), (self._first, first)):
            start = growing.extend(len(new))
            growing.array[start:] = values

    def _named(self, trees: Trees, places: Any) -> Any:
        """Nodes and leaves, as `child` has them, by what they are called in a walk."""
        leaf = np.maximum(-places, 0)
        leaves = LEAF | trees.leaf_count[leaf].astype(np.uint64) << COUNT | trees.leaf_start[leaf].astype(np.uint64)
        return np.where(places < 0, leaves, self._node.array[np.maximum(places, 0)])
