from __future__ import annotations

import zlib
from contextlib import suppress

import cramjam
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from lzallright import LZOCompressor

from inspector.targets.dump.packing import LZO, SNAPPY, ZLIB, ZSTD, unpacked

PACK = {
    ZLIB: zlib.compress,
    LZO: lambda page: LZOCompressor().compress(page),
    SNAPPY: lambda page: bytes(cramjam.snappy.compress_raw(page)),
    ZSTD: zstandard.ZstdCompressor().compress,
}
FLAGS = st.sampled_from(sorted(PACK))


@given(FLAGS, st.binary(min_size=1, max_size=100))
def test_a_page_comes_back(flag: int, seed: bytes) -> None:
    page = (seed * 4096)[:4096]
    assert unpacked(PACK[flag](page), flag) == page
    assert unpacked(page, 0) == page


@given(FLAGS, st.integers(0, 20000).filter(lambda size: size != 4096))
def test_less_or_more_than_a_page_is_refused(flag: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"^the page (unpacks to \d+ bytes, not 4096|does not unpack \(.+\))$"):
        unpacked(PACK[flag](bytes(size)), flag)


@given(st.sampled_from([0, *sorted(PACK)]), st.binary(max_size=300))
def test_garbage_never_ends_in_another_error(flag: int, garbage: bytes) -> None:
    with suppress(ValueError):
        assert len(unpacked(garbage, flag)) == 4096
