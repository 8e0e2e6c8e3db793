"""Work on slices, in several threads: numpy computes without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

Found = TypeVar("Found")


def spread(work: Callable[[int, int], Found], start: int, end: int, size: int, threads: int) -> Iterator[Found]:
    """What `work(from, to)` returns for slices of `start` to `end` of that size, in order, as soon as it is there.

    Slices that nobody has begun when the caller loses interest are dropped; what was begun is waited for.
    """
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads)
    try:
        slices = range(start, end, size)
        yield from pool.map(work, slices, (min(at + size, end) for at in slices))
    finally:
        pool.shutdown(cancel_futures=True)
