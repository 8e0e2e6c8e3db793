"""Work on slices, in several threads: numpy computes without the interpreter's lock."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

Found = TypeVar("Found")


def undisturbed(work: Callable[[], Found]) -> Found:
    """What work returns that must not be left half done: Ctrl-C waits until its end."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return work()
    asked: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(frame))
    try:
        return work()
    finally:
        signal.signal(signal.SIGINT, handler)
        if asked:
            handler(signal.SIGINT, asked[0])


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
