from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.dump.extents import Extents

STRETCHES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25), st.integers(0, 1000)), max_size=12)


def model(stretches: list[tuple[int, int, int]]) -> dict[int, int]:
    """Each address to its offset, the first stretch winning."""
    held: dict[int, int] = {}
    for start, size, offset in stretches:
        for i in range(size):
            held.setdefault(start + i, offset + i)
    return held


def extents(stretches: list[tuple[int, int, int]]) -> Extents:
    return Extents(*([column[i] for column in stretches] for i in range(3)))


@given(STRETCHES, st.integers(-3, 90), st.integers(0, 40))
def test_the_first_stretch_wins(stretches: list[tuple[int, int, int]], address: int, size: int) -> None:
    held, found = model(stretches), extents(stretches)
    wanted = []
    for at in range(address, address + size):
        if at not in held:
            break
        wanted.append(held[at])
    assert [offset + i for offset, length in found.locate(address, size) for i in range(length)] == wanted
    assert found.size == len(held)
    assert (found.starts < found.ends).all()
    assert (found.starts[1:] >= found.ends[:-1]).all()


@given(STRETCHES)
def test_ranges_are_merged(stretches: list[tuple[int, int, int]]) -> None:
    ranges = extents(stretches).ranges()
    assert [at for r in ranges for at in range(r.start, r.end)] == sorted(model(stretches))
    assert all(a.end < b.start for a, b in pairwise(ranges))


def test_nothing_is_held_by_no_stretches() -> None:
    empty = Extents([], [], [])
    assert (empty.ranges(), empty.locate(0, 8), empty.size) == ([], [], 0)


def test_a_hundred_thousand_nested_stretches_do_not_take_quadratic_time() -> None:
    count = 100_000
    starts = np.arange(count)[::-1]  # the first given is the innermost, each later one shows a page more at both ends
    began = time.monotonic()
    nested = Extents(starts * 4096, (2 * (count - starts)) * 4096, np.zeros(count, np.int64))
    assert time.monotonic() - began < 20
    assert nested.size == 2 * count * 4096 - (count - 1) * 4096 + (count - 1) * 4096
    assert nested.ranges()[0].start == 0
