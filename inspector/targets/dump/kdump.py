"""kdump-compressed dumps: QEMU's kdump-zlib and makedumpfile's, flattened or not.

Source: makedumpfile's diskdump_mod.h; QEMU include/sysemu/dump.h (DiskDumpHeader64, KdumpSubHeader64, PageDescriptor)
and dump/dump.c.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump import flattened
from inspector.targets.dump.binary_layout import layout
from inspector.targets.dump.file import PAGE_SIZE, FileTarget, Source
from inspector.targets.dump.libkdumpfile import LibKdumpFile
from inspector.targets.dump.notes import parse_notes
from inspector.targets.dump.page_bitmap import PageBitmap
from inspector.targets.target import Range

MAGICS = (b"KDUMP   ", flattened.MAGIC)

_HEADER = layout(
    "signature:S8 header_version:u4 utsname:V390 timestamp:V22 status:u4 block_size:u4 sub_hdr_size:u4 bitmap_blocks:u4"
    " max_mapnr:u4 total_ram_blocks:u4 device_blocks:u4 written_blocks:u4 current_cpu:u4 nr_cpus:u4"
)
_SUB_HEADER = layout(
    "phys_base:u8 dump_level:u4 split:u4 start_pfn:u8 end_pfn:u8 offset_vmcoreinfo:u8 size_vmcoreinfo:u8 offset_note:u8"
    " size_note:u8 offset_eraseinfo:u8 size_eraseinfo:u8 start_pfn_64:u8 end_pfn_64:u8 max_mapnr_64:u8"
)
_PAGE = layout("offset:u8 size:u4 flags:u4 page_flags:u8")

_ZLIB, _LZO, _SNAPPY, _INCOMPLETE, _ZSTD = 0x1, 0x2, 0x4, 0x8, 0x20
_FOREIGN = {_LZO: "LZO", _SNAPPY: "snappy", _ZSTD: "zstd"}
_MAX_PAGES = 1 << 32  # 16 TiB, the most that Xen supports
_NOTES_LIMIT = 16 << 20
_CACHED_PAGES = 1024


class Kdump(FileTarget):
    """A kdump-compressed dump of an x86-64 machine. Pages are unpacked as they are read; the last 1024 are kept.

    zlib and plain pages are read here; LZO, snappy and zstd ones through libkdumpfile.

    Raises:
        TargetError: its headers or bitmap are cut or make no sense, it is one part of several, or libkdumpfile is
            needed and missing.
    """

    kind = "kdump"

    def _open(self) -> None:
        self.warnings = []
        self._source: Source = self._file
        if self._file.read(0, len(flattened.MAGIC)) == flattened.MAGIC:
            unpacked = flattened.Flattened(self._file)
            self.warnings = unpacked.warnings
            self._source = unpacked
        header, sub_header = self._headers()
        self._pages = self._bitmap(header, sub_header)
        self._table = (1 + int(header["sub_hdr_size"]) + int(header["bitmap_blocks"])) * PAGE_SIZE
        self._page = lru_cache(_CACHED_PAGES)(self._unpack)
        self._read_notes(header, sub_header)
        if self._source is self._file:
            self._check_end()
        if header["status"] & _INCOMPLETE:
            self._warn("its maker ran out of space: the dump says itself that it is incomplete")
        if any(header["status"] & flag for flag in _FOREIGN):
            _ = self._library

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory. Raises NotReadable: a page was left out, cut off or damaged."""
        if size == 0:
            return b""
        if address < 0:
            raise NotReadable(address, size, "there is no such address")
        end = address + size
        first, last = address // PAGE_SIZE, -(-end // PAGE_SIZE)
        missing = self._pages.first_missing(first, last)
        if missing is not None:
            at = max(address, missing * PAGE_SIZE)
            raise NotReadable(at, end - at, f"{self.description} does not hold it")
        descriptors = self._descriptors(self._pages.rank(first), last - first)
        pages = []
        for page in range(first, last):
            try:
                if page - first >= len(descriptors):
                    raise ValueError("the dump is cut short before its page descriptor")
                offset, length, flags, _ = descriptors[page - first]
                pages.append(self._page(offset, length, flags, page if flags & ~_ZLIB else 0))
            except ValueError as error:
                at = max(address, page * PAGE_SIZE)
                raise NotReadable(at, end - at, f"{self.description}: {error}") from None
        return b"".join(pages)[address % PAGE_SIZE :][:size]

    def memory(self) -> Sequence[Range]:
        """The physical memory whose pages are in the dump."""
        return [Range(first * PAGE_SIZE, last * PAGE_SIZE) for first, last in self._pages.runs()]

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        super().close()
        self.__dict__.pop("_library", None)

    def _headers(self) -> tuple[Any, Any]:
        path = self._file.path
        raw = self._source.read(0, _HEADER.itemsize)
        sub_raw = self._source.read(PAGE_SIZE, _SUB_HEADER.itemsize)
        if raw[:8] != MAGICS[0]:
            raise TargetError(f"{path} is no kdump: it begins with {raw[:8]!r}, not {MAGICS[0]!r}")
        if len(raw) < _HEADER.itemsize or len(sub_raw) < _SUB_HEADER.itemsize:
            raise TargetError(f"{path} is cut short: its kdump headers are not whole")
        header, sub_header = np.frombuffer(raw, _HEADER)[0], np.frombuffer(sub_raw, _SUB_HEADER)[0]
        if header["block_size"] != PAGE_SIZE:
            raise TargetError(
                f"{path} is a kdump with blocks of {header['block_size']} bytes; expected {PAGE_SIZE}, as of x86-64"
                " (QEMU writes a 32-bit header while CPU 0 is not in 64-bit mode)"
            )
        if header["header_version"] >= 2 and sub_header["split"]:
            raise TargetError(f"{path} is one part of a split kdump; join the parts first (makedumpfile --reassemble)")
        return header, sub_header

    def _bitmap(self, header: Any, sub_header: Any) -> PageBitmap:
        path = self._file.path
        pages = int(sub_header["max_mapnr_64"] if header["header_version"] >= 6 else header["max_mapnr"])
        # Two bitmaps of one size: what memory there is, then which of its pages are in the dump.
        each = int(header["bitmap_blocks"]) * PAGE_SIZE // 2
        at = (1 + int(header["sub_hdr_size"])) * PAGE_SIZE + each
        size = -(-pages // 8)
        if pages > _MAX_PAGES or size > each:
            raise TargetError(
                f"{path} is damaged: its header tells of {pages} pages, but its bitmaps are of {each} bytes each"
                f" (and vtdpi reads at most {_MAX_PAGES} pages)"
            )
        if at + size > self._source.size:
            raise TargetError(f"{path} is cut short: its bitmaps end at {at + size}, the file at {self._source.size}")
        bits = np.zeros(size, np.uint8)
        chunk = 1 << 20
        for start in range(0, size, chunk):
            raw = self._source.read(at + start, min(chunk, size - start))
            if len(raw) < min(chunk, size - start):
                raise TargetError(f"{path} is cut short: part of its bitmap is missing")
            part = np.frombuffer(raw, np.uint8)
            if part.any():  # a hole in a sparse file costs no memory here either
                bits[start : start + len(part)] = part
        if pages % 8:
            bits[-1] &= (1 << pages % 8) - 1
        return PageBitmap(bits)

    def _read_notes(self, header: Any, sub_header: Any) -> None:
        if header["header_version"] < 4:
            return
        size = int(sub_header["size_note"])
        raw = self._source.read(int(sub_header["offset_note"]), min(size, _NOTES_LIMIT))
        self.notes, whole = parse_notes(raw)
        if not whole or len(raw) < size:
            self._warn("its notes are cut short or damaged: CPUs may be missing")

    def _check_end(self) -> None:
        """Warn if the last pages' bytes are not there: a file that was cut."""
        pages = self._pages.count()
        count = min(pages, 1024)
        last = self._descriptors(pages - count, count)
        due = max((offset + size for offset, size, _, _ in last), default=0)
        if due > self._source.size or len(last) < count:
            self._warn(f"the file is cut short: it ends at {self._source.size}, its pages do not")

    def _descriptors(self, first: int, count: int) -> list[tuple[int, int, int, int]]:
        """(offset, size, flags, page flags) of pages by rank; fewer than `count` at the end of the file."""
        raw = self._source.read(self._table + first * _PAGE.itemsize, count * _PAGE.itemsize)
        table: list[tuple[int, int, int, int]] = np.frombuffer(raw, _PAGE, len(raw) // _PAGE.itemsize).tolist()
        return table

    def _unpack(self, offset: int, size: int, flags: int, page: int) -> bytes:
        """A page's 4096 bytes. Raises ValueError: why not."""
        if flags & ~_ZLIB:
            return self._library.page(page)
        if not 0 < size <= 2 * PAGE_SIZE:
            raise ValueError(f"the page's descriptor is damaged (size {size})")
        data = self._source.read(offset, size)
        if len(data) < size:
            raise ValueError("the dump is cut short before its bytes")
        if flags & _ZLIB:
            try:
                data = zlib.decompressobj().decompress(data, PAGE_SIZE + 1)
            except zlib.error as error:
                raise ValueError(f"the page does not unpack ({error})") from None
        if len(data) != PAGE_SIZE:
            raise ValueError(f"the page unpacks to {len(data)} bytes, not {PAGE_SIZE}")
        return data

    @cached_property
    def _library(self) -> LibKdumpFile:
        return LibKdumpFile(self._file.path)

    def _warn(self, line: str) -> None:
        self.warnings = [*self.warnings, f"{self._file.path}: {line}"]
