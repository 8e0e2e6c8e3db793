"""A whole interrupt-remapping table decoded: columns, Construct, ctypes and mask-and-shift, in one run.

Run with -s to see the table. Timings are printed and never asserted; that all routes decode alike is asserted.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from structs.bits import Field
from structs.columns import columns, rows
from structs.irte import REMAPPED

ENTRIES = 65536
SAMPLE = 2048
"""Construct decodes this many entries; its time is scaled up."""

NAMES = [f.name for f in REMAPPED.fields]
T = TypeVar("T")


def timed(run: Callable[[], T], repeat: int) -> tuple[float, T]:
    """Best of `repeat`, in milliseconds, and the last result."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best * 1e3, result


def _member(f: Field) -> tuple[str, type[ctypes.c_uint64], int]:
    return f.name, ctypes.c_uint64, f.width


class Irte(ctypes.LittleEndianStructure):
    _fields_ = [_member(f) for f in REMAPPED.fields]


def test_whole_table() -> None:
    table = np.random.default_rng(1).integers(0, 256, ENTRIES * 16, np.uint8).tobytes()
    sample = table[: SAMPLE * 16]

    def by_construct() -> list[dict[str, int]]:
        return [dict(REMAPPED.parse(sample[i : i + 16])) for i in range(0, len(sample), 16)]

    def by_ctypes() -> list[dict[str, int]]:
        return [{name: getattr(entry, name) for name in NAMES} for entry in (Irte * ENTRIES).from_buffer_copy(table)]

    def by_hand() -> list[dict[str, int]]:
        where = [(f.name, f.low, (1 << f.width) - 1) for f in REMAPPED.fields]
        return [
            {name: (low | high << 64) >> shift & mask for name, shift, mask in where}
            for low, high in struct.iter_unpack("<QQ", table)
        ]

    column_ms, decoded = timed(lambda: columns(REMAPPED, table), 20)
    construct_ms, parsed = timed(by_construct, 1)
    construct_ms *= ENTRIES / SAMPLE
    ctypes_ms, unpacked = timed(by_ctypes, 1)
    hand_ms, shifted = timed(by_hand, 1)
    few_ms, _ = timed(lambda: columns(REMAPPED, table, ["p", "im"]), 20)

    everything = rows(decoded)
    assert everything == shifted
    assert everything == unpacked
    assert everything[:SAMPLE] == parsed

    print(f"\n{ENTRIES} IRTEs, all {len(NAMES)} fields   ms        columns are faster by")
    for name, ms in (
        ("columns", column_ms),
        ("mask and shift", hand_ms),
        ("ctypes", ctypes_ms),
        ("Construct", construct_ms),
    ):
        print(f"{name:32}{ms:9.2f}{ms / column_ms:16.0f} x")
    print(f"{'columns, p and im only':32}{few_ms:9.2f}")
