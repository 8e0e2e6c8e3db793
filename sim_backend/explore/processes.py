"""Work on slices, in several processes: children are forked from what is known now, and send back what they found.

What the parent goes on changing lies in memory that they share, or the system would copy it, page by page, after each
fork.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from sim_backend.errors import SimError

Slice = tuple[int, int]


def shared_zeros(shape: int | tuple[int, ...], dtype: Any) -> Any:
    """As `numpy.zeros`, in memory that is shared with children."""
    whole = math.prod(np.atleast_1d(shape).tolist())
    memory = mmap.mmap(-1, max(1, whole * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, whole).reshape(shape)


def spread(work: Callable[[int, int], Any], start: int, end: int, processes: int) -> Iterator[Any]:
    """What `work(from, to)` returns for slices of `start` to `end`, in order; the last one is worked on here.

    Raises:
        SimError: a process ended without an answer.
    """
    fork = multiprocessing.get_context("fork")
    bounds = [start + (end - start) * number // processes for number in range(processes + 1)]
    children = []
    for first, last in pairwise(bounds[:-1]):
        here, there = fork.Pipe(duplex=False)
        child = fork.Process(target=_answer, args=(there, work, first, last), daemon=True)
        child.start()
        there.close()
        children.append((child, here))
    try:
        own = work(bounds[-2], bounds[-1])
        for child, here in children:
            try:
                yield here.recv()
            except EOFError:
                child.join()
                raise SimError(f"process {child.pid} of the exploration ended with status {child.exitcode}") from None
            child.join()
        yield own
    finally:
        for child, here in children:
            child.terminate()
            child.join()
            here.close()


def _answer(there: Any, work: Callable[[int, int], Any], first: int, last: int) -> None:
    try:
        there.send(work(first, last))
    except KeyboardInterrupt:
        # The parent was interrupted too, and tells.
        pass
    finally:
        there.close()
