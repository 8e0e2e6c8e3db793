from __future__ import annotations

import ctypes

import pytest

from sim_backend.explore.pages import UNIT, Pages


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_was_written_stays_when_they_grow(tmp_path, on_disk):
    pages = Pages(100, tmp_path if on_disk else None)
    assert ctypes.string_at(pages.address, 100) == bytes(100)
    ctypes.memmove(pages.address, b"abc", 3)
    pages.grow(5 * UNIT + 1)
    assert ctypes.string_at(pages.address, 4) == b"abc\0"
    ctypes.memmove(pages.address + 5 * UNIT, b"d", 1)
    before = pages.address
    pages.grow(1)
    assert pages.address == before
    assert ctypes.string_at(pages.address + 5 * UNIT, 2) == b"d\0"
