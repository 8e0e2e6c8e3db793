from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.base.errors import TargetError
from inspector.targets.dump.file import File, source_of
from inspector.targets.dump.kdump_part import KdumpPart, _clear_outside


@given(st.binary(min_size=1, max_size=9), st.integers(0, 80), st.integers(0, 80))
def test_bits_of_other_parts_are_cleared(raw: bytes, first: int, last: int) -> None:
    bits = np.frombuffer(raw, np.uint8).copy()
    _clear_outside(bits, first, min(last, 8 * len(raw)))
    kept = [page for page in range(8 * len(raw)) if bits[page // 8] >> page % 8 & 1]
    there = [page for page in range(8 * len(raw)) if raw[page // 8] >> page % 8 & 1]
    assert kept == [page for page in there if first <= page < last]


def test_a_real_qemus(unpacked: Callable[[str], Path]) -> None:
    file = File(unpacked("tiny/zlib.kdump"))
    source, _ = source_of(file)
    part = KdumpPart(source, file.path, plain=False)
    assert (part.split, part.first, part.last, part.problems) == (False, 0, part.count, [])
    assert part.pages.count() == 0x800 + 0x10
    assert part.identity == KdumpPart(source, "again", plain=False).identity
    ((offset, size, flags, _),) = part.descriptors(0x200, 1)
    assert len(part.packed(offset, size)) == size
    assert flags in (0, 1)
    with pytest.raises(ValueError, match="damaged"):
        part.packed(0, 8193)
    with pytest.raises(TargetError, match="is no kdump"):
        KdumpPart(file, file.path, plain=True)
    file.close()
