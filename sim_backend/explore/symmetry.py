"""Symmetry: of the states that renamings turn into each other, one stands for all: the smallest.

States are compared field by field, in the order in which the fields came. Where fields lie, which changes, does not
matter to that. A new field must hold the first value in all states found before, and in their likes, so that the
smallest of its kind stays that; if renamings turn its first value into another one, the search begins again with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sim_backend.explore.fields import Fields, Rows
from sim_backend.explore.model import Key, Permutation


class Symmetry:
    """A model's renamings, applied to rows.

    Attributes:
        permutations: all but the one that renames nothing.
        learnt: how often something new was learnt of them.
    """

    def __init__(self, fields: Fields, permutations: Sequence[Permutation]) -> None:
        self.fields = fields
        self.permutations = permutations
        self.learnt = 0
        self._target: list[list[int]] = [[] for _ in permutations]
        self._map: list[list[Any]] = [[] for _ in permutations]
        self._constants: set[Key] = set()
        self._constants_met = 0
        self._from_the_start = len(fields.keys)
        self._stale = False

    def begin_again(self) -> None:
        """The search begins again, with the fields that there are now."""
        self._from_the_start = len(self.fields.keys)
        self._constants_met = 0
        self._stale = False

    @property
    def stale(self) -> bool:
        """Whether the states found so far lack a field that is not the same in all of their kind."""
        if self.permutations and self._take_up_constants():
            self._stale = True
        return self._stale

    def smallest(self, rows: Rows) -> Rows | None:
        """For each row that of the smallest state that it can be renamed to; None if fields moved."""
        if not self.permutations:
            return rows
        if self.stale:
            return None
        layout = self.fields.layout
        while any(self._learn(which) for which in range(len(self.permutations))):
            pass
        if self.fields.layout != layout:
            return None
        best = rows
        for which in range(len(self.permutations)):
            renamed = self._renamed(which, rows)
            best = np.where(self._smaller(renamed, best)[:, None], renamed, best)
        return best

    def _take_up_constants(self) -> bool:
        """Give fields to what never changes, but is not the same in the states that a renaming makes."""
        fields = self.fields
        if len(fields.constants) == self._constants_met:
            return False
        self._constants_met = len(fields.constants)
        new = fields.constants - self._constants
        self._constants |= new
        unlike = [
            (key, permutation.key(key))
            for key in sorted(new, key=repr)
            for permutation in self.permutations
            if permutation.value(key, fields.initial(key)) != fields.initial(permutation.key(key))
        ]
        for keys in unlike:
            for key in keys:
                fields.add(key)
        return bool(unlike)

    def images(self, rows: Rows) -> Iterator[Rows]:
        """The rows, and what each renaming makes of them. All of their values must have been seen by `smallest`."""
        yield rows
        for which in range(len(self.permutations)):
            yield self._renamed(which, rows)

    def tables(self) -> Iterator[tuple[list[int], list[Any]]]:
        """Of each renaming, as far as known: by field, the one in its place, and what its numbers become."""
        return zip(self._target, self._map, strict=True)

    def _renamed(self, which: int, rows: Rows) -> Rows:
        fields = self.fields
        columns = np.ascontiguousarray(rows.T)
        new = np.zeros_like(columns)
        for field, (target, numbers) in enumerate(zip(self._target[which], self._map[which], strict=True)):
            places = fields.extract(columns.T, field).view(np.intp)
            new[fields.word[target]] |= (numbers << fields.shift[target]).take(places)
        return np.ascontiguousarray(new.T)

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
                self._stale |= field >= self._from_the_start and bool(maps[field][0])
                learnt = True
            field += 1
        self.learnt += learnt
        return learnt

    def _smaller(self, rows: Rows, others: Rows) -> Any:
        """Which rows are those of smaller states than those of the other array."""
        fields = self.fields
        smaller = np.zeros(len(rows), bool)
        equal = np.flatnonzero((rows != others).any(axis=1))
        for word, shift, mask in zip(fields.word, fields.shift, fields.mask, strict=True):
            ours, theirs = (each[equal, word] >> shift & mask for each in (rows, others))
            smaller[equal[ours < theirs]] = True
            equal = equal[ours == theirs]
            if not equal.size:
                break
        return smaller
