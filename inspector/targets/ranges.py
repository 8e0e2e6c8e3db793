"""Ranges of physical addresses: a few, or the millions that a dump with every other page has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

from structs.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@frozen
class Range:
    """Physical addresses `start` up to, not including, `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


class Ranges(Sequence[Range]):
    """Ascending ranges that do not overlap, kept as two int64 arrays, `starts` and `ends`."""

    def __init__(self, starts: ArrayLike, ends: ArrayLike) -> None:
        # Only here: the plugin for gdb has to come to say that gdb's Python has no numpy.
        import numpy as np

        self.starts: NDArray[np.int64] = np.asarray(starts, np.int64)
        self.ends: NDArray[np.int64] = np.asarray(ends, np.int64)

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> Ranges:
        """The same as arrays."""
        if isinstance(ranges, Ranges):
            return ranges
        pairs = [(known.start, known.end) for known in ranges]
        return cls([start for start, _ in pairs], [end for _, end in pairs])

    @property
    def size(self) -> int:
        """Bytes of all of them together."""
        return int((self.ends - self.starts).sum())

    def multiples(self, step: int) -> list[int]:
        """Every multiple of `step` whose stretch of `step` bytes holds a part of some range, ascending."""
        if not len(self):
            return []
        import numpy as np

        first, last = self.starts // step, (self.ends - 1) // step
        first[1:] = np.maximum(first[1:], last[:-1] + 1)
        counts = last - first + 1
        before = np.cumsum(counts) - counts
        found = np.arange(int(counts.sum())) + np.repeat(first - before, counts)
        return [int(number) * step for number in found.tolist()]

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Range: ...

    @overload
    def __getitem__(self, index: slice) -> Ranges: ...

    def __getitem__(self, index: int | slice) -> Range | Ranges:
        if isinstance(index, slice):
            return Ranges(self.starts[index], self.ends[index])
        return Range(int(self.starts[index]), int(self.ends[index]))

    def __iter__(self) -> Iterator[Range]:
        for at in range(0, len(self), _AT_ONCE):
            chunk = slice(at, at + _AT_ONCE)
            yield from map(Range, self.starts[chunk].tolist(), self.ends[chunk].tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Ranges.of({list(self)!r})"


_AT_ONCE = 4096
"""How many ranges are made into objects in one go."""
