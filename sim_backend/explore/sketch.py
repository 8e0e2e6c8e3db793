"""How many different states several searches visited together: the smallest of the states' fingerprints tell.

A fingerprint is 64 bits that depend on a state only, not on the search that found it. Of a uniformly random set the
k-th smallest member tells the size (Bar-Yossef et al. 2002: "k minimum values"); one set's k smallest and another's
give those of their union. Searches are never cut short by fingerprints: these only count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

import numpy as np

from sim_backend.explore.model import Key, Value
from sim_backend.explore.search import Search
from structs.frozen import frozen

KEPT = 1 << 14
CHUNK = 1 << 16
EVERYTHING = 2.0**64


@frozen
class Sketch:
    """A set of states. `smallest` are its smallest fingerprints (uint64, ascending): KEPT, or all if there are less."""

    smallest: Any

    def union(self, other: Sketch) -> Sketch:
        """The sketch of what is in either."""
        return Sketch(np.union1d(self.smallest, other.smallest)[:KEPT])

    @property
    def exact(self) -> bool:
        """Whether `count` is no estimate."""
        return len(self.smallest) < KEPT

    @property
    def count(self) -> int:
        """How many there are; where that is an estimate, its standard error is `error` of it."""
        if self.exact:
            return len(self.smallest)
        return round((KEPT - 1) / (float(self.smallest[-1]) / EVERYTHING))

    @property
    def error(self) -> float:
        """The standard error, relative."""
        return 0.0 if self.exact else float((KEPT - 2) ** -0.5)


NO_STATES = Sketch(np.zeros(0, np.uint64))


def sketch(
    search: Search,
    first: Callable[[Key], Value],
    moved: Iterable[Key] = (),
    in_whole: Callable[[Key, Value], Value] = lambda key, value: value,
) -> Sketch:
    """Of the states that a search has visited, which did not take any for each other (no symmetry).

    Args:
        first: what each key's value is in the first state of the whole space that is counted.
        moved: the keys whose value was another one where the search began.
        in_whole: what a key's value in the search is called in the whole space.
    """

    def share(key: Key, value: Value) -> int:
        """None for what the whole space begins with, so that it is no matter which keys have fields."""
        named = in_whole(key, value)
        return 0 if named == first(key) else _fingerprint(key, named)

    fields = search.fields
    tables = [
        np.array([share(key, value) for value in values], np.uint64)
        for key, values in zip(fields.keys, fields.values, strict=True)
    ]
    rest = sum(share(key, search.model.initial(key)) for key in moved if key not in fields.number)
    found = NO_STATES
    for start in range(0, search.states.count, CHUNK):
        rows = search.states.rows[start : min(start + CHUNK, search.states.count)]
        prints = np.full(len(rows), rest % (1 << 64), np.uint64)
        for field, table in enumerate(tables):
            prints += table[fields.extract(rows, field).astype(np.intp)]
        found = found.union(Sketch(np.unique(_mixed(prints))[:KEPT]))
    return found


def _fingerprint(key: Key, value: Value) -> int:
    return int.from_bytes(blake2b(repr((key, value)).encode(), digest_size=8).digest(), "little")


def _mixed(prints: Any) -> Any:
    """Sums of shares made uniform (the finaliser of splitmix64)."""
    prints = (prints ^ prints >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    prints = (prints ^ prints >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return prints ^ prints >> np.uint64(31)
