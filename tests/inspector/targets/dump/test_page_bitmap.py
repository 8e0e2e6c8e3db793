from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspector.targets.dump.page_bitmap import PageBitmap


def runs(bitmap: PageBitmap) -> list[tuple[int, int]]:
    return list(zip(*(column.tolist() for column in bitmap.runs()), strict=True))


@given(st.binary(max_size=40).map(lambda b: b * 37), st.integers(0, 12000), st.integers(0, 12000))
def test_it_agrees_with_a_set(raw: bytes, first: int, last: int) -> None:
    there = {page for page in range(len(raw) * 8) if raw[page // 8] >> page % 8 & 1}
    bitmap = PageBitmap(np.frombuffer(raw, np.uint8))
    assert bitmap.count() == len(there)
    assert [page for a, b in runs(bitmap) for page in range(a, b)] == sorted(there)
    assert bitmap.first_missing(first, last) == next((p for p in range(first, last) if p not in there), None)
    for count in {first, last, 0, len(there)}:
        kept = bitmap.limited(count)
        assert [page for a, b in runs(kept) for page in range(a, b)] == sorted(there)[:count]
    for page in {first, last} & set(range(len(raw) * 8)):
        assert bitmap.rank(page) == sum(p < page for p in there)


def test_runs_across_chunks() -> None:
    pages = 3 << 23  # three chunks of a MiB
    bits = np.zeros(pages, np.uint8)
    bits[100 : (1 << 23) + 5] = 1
    bits[-1] = 1
    bitmap = PageBitmap(np.packbits(bits, bitorder="little"))
    assert runs(bitmap) == [(100, (1 << 23) + 5), (pages - 1, pages)]
    assert bitmap.rank((1 << 23) + 7) == (1 << 23) + 5 - 100
    assert bitmap.rank(pages - 1) == bitmap.count() - 1
    assert bitmap.first_missing(100, pages) == (1 << 23) + 5
    assert bitmap.first_missing(200, 1 << 60) == (1 << 23) + 5
    assert bitmap.first_missing(pages - 1, 1 << 60) == pages


def test_a_run_of_each_two_pages() -> None:
    bitmap = PageBitmap(np.full(1 << 17, 0x55, np.uint8))
    firsts, lasts = bitmap.runs()
    assert (len(firsts), int(firsts[-1]), int(lasts[-1])) == (1 << 19, (1 << 20) - 2, (1 << 20) - 1)
