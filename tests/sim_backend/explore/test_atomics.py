"""The atomic operations on memory, alone and by several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("numba")
from numba import njit

from sim_backend.explore.atomics import acquire, claim, count_up, load, prefetch, publish, store


@njit(nogil=True)
def words(at):
    """What each operation makes of three words."""
    store(at, np.uint64(1 << 63 | 5))
    publish(at + 8, np.uint32(0xFFFFFFFF))
    prefetch(at)
    return load(at), acquire(at + 8), claim(at + 8, np.uint32(1)), claim(at + 12, np.uint32(9)), count_up(at + 16, 1)


@njit(nogil=True)
def work(counter, slots, size, times):
    """Count up so often, and claim every slot that is free; how many were won."""
    won = 0
    for _ in range(times):
        count_up(counter, 1)
    for slot in range(size):
        if claim(slots + 4 * slot, np.uint32(1)):
            won += 1
    return won


def test_each_touches_only_its_own_bytes():
    memory = np.array([7, 0, 41, 0x1122_3344_5566_7788], np.uint64)
    assert words(memory.ctypes.data) == (1 << 63 | 5, 0xFFFFFFFF, False, True, 41)
    assert memory.tolist() == [1 << 63 | 5, 9 << 32 | 0xFFFFFFFF, 42, 0x1122_3344_5566_7788]


def test_threads_lose_no_count_and_each_slot_has_one_owner():
    counter, slots, threads, times = np.zeros(1, np.int64), np.zeros(20_000, np.uint32), 4, 50_000
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(work, counter.ctypes.data, slots.ctypes.data, len(slots), times) for _ in range(threads)]
        won = sum(job.result() for job in jobs)
    assert counter[0] == threads * times
    assert won == len(slots) == int(slots.sum())
