"""Which bytes of a file hold which addresses."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspector.targets.ranges import Ranges


class Extents:
    """Stretches of addresses and the file offsets where their bytes are, ascending and without overlap.

    `starts`, `ends` and `offsets` are int64 arrays of one length: addresses `starts[i]` up to, not including, `ends[i]`
    are at `offsets[i]`.
    """

    def __init__(self, starts: ArrayLike, sizes: ArrayLike, offsets: ArrayLike) -> None:
        """Lay stretches over each other in any order; where two hold the same address, the first given wins."""
        starts, sizes, offsets = (np.asarray(column, np.int64) for column in (starts, sizes, offsets))
        self.starts, self.ends, owners = _first_wins(starts, starts + sizes)
        self.offsets = offsets[owners] + (self.starts - starts[owners])
        # A memoryview's items are plain integers: bisecting it is several times faster than bisecting the array.
        self._starts = self.starts.data
        self._ends = self.ends.data
        self._offsets = self.offsets.data

    @property
    def size(self) -> int:
        """Bytes held."""
        return int((self.ends - self.starts).sum())

    def locate(self, address: int, size: int) -> list[tuple[int, int]]:
        """Pieces `(offset, size)` that hold the addresses from `address` on; they end at the first one missing."""
        pieces = []
        i = bisect_right(self._starts, address) - 1 if address >= 0 else -1
        while size > 0 and 0 <= i < len(self._starts) and self._starts[i] <= address < self._ends[i]:
            length = min(size, self._ends[i] - address)
            pieces.append((self._offsets[i] + address - self._starts[i], length))
            address += length
            size -= length
            i += 1
        return pieces

    def ranges(self, below: int = 1 << 62) -> Ranges:
        """The addresses held, adjacent stretches merged; only those at offsets less than `below`."""
        real = self.offsets < below
        starts, ends = self.starts[real], self.ends[real]
        apart = starts[1:] != ends[:-1]
        first, last = np.ones(len(starts), bool), np.ones(len(ends), bool)
        first[1:] = last[:-1] = apart
        return Ranges(starts[first], ends[last])


def _first_wins(
    starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Starts, ends and owners (indices into the arguments) of the disjoint stretches that remain."""
    owners = np.flatnonzero(ends > starts)
    owners = owners[np.argsort(starts[owners], kind="stable")]
    if (starts[owners[1:]] >= ends[owners[:-1]]).all():
        return starts[owners], ends[owners], owners

    # Cut the addresses at every start and end. For each cut the lowest index that covers it is wanted: each stretch is
    # noted at two runs of 2^k cuts that together cover it, then the notes for runs are handed down to their halves.
    given = np.sort(owners)
    edges = np.sort(np.concatenate((starts[given], ends[given])))
    edges = edges[
        np.concatenate(([True], edges[1:] != edges[:-1]))
    ]  # np.unique, without its import of numpy.ma (15 ms)
    first, last = np.searchsorted(edges, starts[given]), np.searchsorted(edges, ends[given])
    level = np.frexp(last - first)[1] - 1
    nobody = len(starts)
    lowest = np.full(len(edges), nobody)
    for k in range(int(level.max()), -1, -1):
        at = level == k
        np.minimum.at(lowest, first[at], given[at])
        np.minimum.at(lowest, last[at] - (1 << k), given[at])
        if k:
            half = 1 << k - 1
            handed = lowest.copy()
            np.minimum(handed[half:], lowest[:-half], out=handed[half:])
            lowest = handed
    changes = np.concatenate(([True], lowest[1:] != lowest[:-1]))
    edges, lowest = edges[changes], lowest[changes]
    # The last edge ends the last stretch, so it covers nothing and nobody owns it.
    held = np.flatnonzero(lowest < nobody)
    return edges[held], edges[held + 1], lowest[held]
