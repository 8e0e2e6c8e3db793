"""The bitmap of a compressed dump: which pages it holds, and the how-manieth each one is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_GROUP = 512  # bytes of bitmap per entry of the running count
_CHUNK = 1 << 16  # bytes of bitmap looked at in one go: unpacked they take 8 times that, their edges up to 64 times


class PageBitmap:
    """One bit a page, lowest bit first; a set bit is a page that is there. `bits` is a uint8 array."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        self._bits = bits
        counts = [np.zeros(1, np.int64)]
        for _, chunk in self._chunks(0):
            padded = np.zeros(-(-len(chunk) // (_GROUP * 8)) * _GROUP * 8, np.uint8)
            padded[: len(chunk)] = chunk
            counts.append(padded.reshape(-1, _GROUP * 8).sum(axis=1, dtype=np.int64))
        self._before = np.cumsum(np.concatenate(counts))

    def __len__(self) -> int:
        """Pages that there are bits for."""
        return len(self._bits) * 8

    def count(self) -> int:
        """Pages that are there."""
        return int(self._before[-1])

    def rank(self, page: int) -> int:
        """How many pages before `page` are there."""
        group, byte, bit = page // (_GROUP * 8), page // 8, page % 8
        inside = int.from_bytes(self._bits[group * _GROUP : byte].tobytes(), "little").bit_count()
        last = int(self._bits[byte]) & (1 << bit) - 1 if bit else 0
        return int(self._before[group]) + inside + last.bit_count()

    def first_missing(self, first: int, last: int) -> int | None:
        """The first page of `first` up to, not including, `last` that is not there."""
        for at, chunk in self._chunks(first // 8, -(-min(last, len(self)) // 8)):
            window = chunk[max(first - at, 0) : last - at]
            clear = int(window.argmin()) if len(window) else 0
            if len(window) and not window[clear]:
                return max(first, at) + clear
        unknown = max(first, len(self))
        return unknown if last > unknown else None

    def limited(self, count: int) -> PageBitmap:
        """The first `count` pages that are there, and no others: those behind are taken for missing."""
        if count >= self.count():
            return self
        group = int(np.searchsorted(self._before, count, "right")) - 1
        there = np.flatnonzero(np.unpackbits(self._bits[group * _GROUP : (group + 1) * _GROUP], bitorder="little"))
        end = group * _GROUP * 8 + int(there[count - int(self._before[group])])
        kept = self._bits[: -(-end // 8)].copy()
        if end % 8:
            kept[-1] &= (1 << end % 8) - 1
        return PageBitmap(kept)

    def runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Runs of pages that are there, ascending: the first page of each, and the one past its last."""
        edges = np.empty(2 * self._run_count(), np.int64)
        filled = 0
        for at, changed in self._edges():
            edges[filled : filled + len(changed)] = changed
            edges[filled : filled + len(changed)] += at
            filled += len(changed)
        if filled % 2:
            edges[filled] = len(self)
        return edges[::2], edges[1::2]

    def _run_count(self) -> int:
        return -(-sum(len(changed) for _, changed in self._edges()) // 2)

    def _edges(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Where a run starts or ends: pages from the number of the first one on, by chunks."""
        before = 0
        for at, chunk in self._chunks(0):
            yield at, np.flatnonzero(np.diff(chunk, prepend=np.uint8(before)))
            before = int(chunk[-1])

    def _chunks(self, first: int, last: int | None = None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Bytes `first`..`last` of the bitmap, unpacked by chunks: the number of the first page, and 0 or 1 a page."""
        end = len(self._bits) if last is None else last
        for at in range(first, end, _CHUNK):
            yield at * 8, np.unpackbits(self._bits[at : min(at + _CHUNK, end)], bitorder="little")
