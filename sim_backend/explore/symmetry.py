"""Symmetry: of the states that renamings turn into each other, one stands for all: the one whose row is smallest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields, Rows
from sim_backend.explore.model import Permutation


class Symmetry:
    """A model's renamings, applied to rows. `permutations` are all but the one that renames nothing."""

    def __init__(self, fields: Fields, permutations: Sequence[Permutation]) -> None:
        self.fields = fields
        self.permutations = permutations
        self._target: list[list[int]] = [[] for _ in permutations]
        self._map: list[list[Any]] = [[] for _ in permutations]

    def smallest(self, rows: Rows) -> Rows | None:
        """For each row the smallest one that it can be renamed to; None if fields moved."""
        if not self.permutations:
            return rows
        layout = self.fields.layout
        while any(self._learn(which) for which in range(len(self.permutations))):
            pass
        if self.fields.layout != layout:
            return None
        best = rows
        for which in range(len(self.permutations)):
            renamed = self._renamed(which, rows)
            best = np.where(_smaller(renamed, best)[:, None], renamed, best)
        return best

    def _renamed(self, which: int, rows: Rows) -> Rows:
        fields = self.fields
        new = np.zeros_like(rows)
        for field, (target, numbers) in enumerate(zip(self._target[which], self._map[which], strict=True)):
            word, shift = fields.word[target], fields.shift[target]
            new[:, word] |= numbers[fields.extract(rows, field).astype(np.intp)] << shift
        return new

    def _learn(self, which: int) -> bool:
        """Take up fields and values that are new; whether there were any."""
        fields, permutation = self.fields, self.permutations[which]
        targets, maps = self._target[which], self._map[which]
        learnt = False
        field = 0
        while field < len(fields.keys):
            key, values = fields.keys[field], fields.values[field]
            if field == len(targets):
                targets.append(fields.add(permutation.key(key)))
                maps.append(np.zeros(0, np.uint64))
            known = len(maps[field])
            if known < len(values):
                target = targets[field]
                new = [fields.intern(target, permutation.value(key, value)) for value in values[known:]]
                maps[field] = np.concatenate((maps[field], np.array(new, np.uint64)))
                learnt = True
            field += 1
        return learnt


def _smaller(rows: Rows, others: Rows) -> Any:
    """Which rows are smaller than those of the other array, the first word deciding first."""
    smaller = np.zeros(len(rows), bool)
    equal = np.ones(len(rows), bool)
    for word in range(rows.shape[1]):
        smaller |= equal & (rows[:, word] < others[:, word])
        equal &= rows[:, word] == others[:, word]
    return smaller
