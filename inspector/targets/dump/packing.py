"""How the pages of a kdump are packed: zlib, LZO, snappy or zstd, by libraries that come as wheels."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from inspector.targets.dump.file import PAGE_SIZE

ZLIB, LZO, SNAPPY, ZSTD = 0x1, 0x2, 0x4, 0x20
"""Flags of a page's descriptor (makedumpfile's diskdump_mod.h, DUMP_DH_COMPRESSED_*); with none the page is plain."""


def unpacked(data: bytes, flags: int) -> bytes:
    """A page's 4096 bytes. Raises ValueError: why they cannot be had."""
    unpack = _UNPACK.get(flags)
    if unpack is None:
        raise ValueError(f"the page's descriptor is damaged (flags {flags:#x})")
    page = unpack(data)
    if len(page) != PAGE_SIZE:
        raise ValueError(f"the page unpacks to {len(page)} bytes, not {PAGE_SIZE}")
    return page


def _zlib(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, PAGE_SIZE + 1)
    except zlib.error as error:
        raise ValueError(f"the page does not unpack ({error})") from None


def _lzo(data: bytes) -> bytes:
    from lzallright import LZOCompressor, LZOError

    try:
        return LZOCompressor.decompress(data, PAGE_SIZE)
    except LZOError as error:
        raise ValueError(f"the page does not unpack (LZO: {error.args[0]})") from None


def _snappy(data: bytes) -> bytes:
    from cramjam import snappy

    return _into_a_page(snappy.decompress_raw_into, data)


def _zstd(data: bytes) -> bytes:
    from cramjam import zstd

    return _into_a_page(zstd.decompress_into, data)


def _into_a_page(unpack: Callable[[bytes, bytearray], int], data: bytes) -> bytes:
    from cramjam import DecompressionError

    page = bytearray(PAGE_SIZE)
    try:
        size = unpack(data, page)
    except DecompressionError as error:
        raise ValueError(f"the page does not unpack ({error})") from None
    return bytes(page[:size])


_UNPACK: dict[int, Callable[[bytes], bytes]] = {0: bytes, ZLIB: _zlib, LZO: _lzo, SNAPPY: _snappy, ZSTD: _zstd}
