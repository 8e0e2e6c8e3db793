"""The bitmap of a compressed dump: which pages it holds, and the how-manieth each one is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_GROUP = 512  # bytes of bitmap per entry of the running count
_CHUNK = 1 << 20  # bytes of bitmap looked at in one go


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

    def runs(self) -> list[tuple[int, int]]:
        """Runs of pages that are there, as (first, past the last), ascending."""
        edges = []
        before = 0
        for at, chunk in self._chunks(0):
            changed = np.flatnonzero(np.diff(chunk, prepend=np.uint8(before)))
            edges += (changed + at).tolist()
            before = int(chunk[-1])
        if before:
            edges.append(len(self))
        return list(zip(edges[::2], edges[1::2], strict=True))

    def _chunks(self, first: int, last: int | None = None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Bytes `first`..`last` of the bitmap, unpacked by chunks: the number of the first page, and 0 or 1 a page."""
        end = len(self._bits) if last is None else last
        for at in range(first, end, _CHUNK):
            yield at * 8, np.unpackbits(self._bits[at : min(at + _CHUNK, end)], bitorder="little")
