"""One file of a kdump: its headers, which pages it holds, and each page's place.

Source: makedumpfile's diskdump_mod.h; QEMU include/sysemu/dump.h (DiskDumpHeader64, KdumpSubHeader64, PageDescriptor)
and dump/dump.c. Split files: crash's diskdump.c (KDUMP_SPLIT).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspector.base.errors import TargetError
from inspector.targets.dump.binary_layout import layout
from inspector.targets.dump.file import PAGE_SIZE, Source
from inspector.targets.dump.notes import Note, parse_notes
from inspector.targets.dump.page_bitmap import PageBitmap

MAGIC = b"KDUMP   "

_HEADER = layout(
    "signature:S8 header_version:u4 utsname:V390 timestamp:V22 status:u4 block_size:u4 sub_hdr_size:u4 bitmap_blocks:u4"
    " max_mapnr:u4 total_ram_blocks:u4 device_blocks:u4 written_blocks:u4 current_cpu:u4 nr_cpus:u4"
)
_SUB_HEADER = layout(
    "phys_base:u8 dump_level:u4 split:u4 start_pfn:u8 end_pfn:u8 offset_vmcoreinfo:u8 size_vmcoreinfo:u8 offset_note:u8"
    " size_note:u8 offset_eraseinfo:u8 size_eraseinfo:u8 start_pfn_64:u8 end_pfn_64:u8 max_mapnr_64:u8"
)
_PAGE = layout("offset:u8 size:u4 flags:u4 page_flags:u8")

_INCOMPLETE = 0x8
_MAX_PAGES = 1 << 32  # 16 TiB, the most that Xen supports
_NOTES_LIMIT = 16 << 20
_VMCOREINFO_LIMIT = 1 << 20
_WIDE_NUMBERS_SINCE = 6
"""The header version from which on page numbers have 64 bits."""


class KdumpPart:
    """One file of a kdump, which is all of it unless it was split.

    Attributes:
        split: whether the dump was split; then the file holds pages `first` up to, not including, `last` only.
        pages: the pages that it holds.
        notes: the dump's ELF notes; every part has them.
        problems: what is wrong with it though it can be read, in words.

    Raises:
        TargetError: its headers or bitmap are cut or make no sense; `path` names the file in the message.
    """

    def __init__(self, source: Source, path: str, plain: bool) -> None:
        self._source = source
        self._path = path
        self.problems: list[str] = []
        self._read_headers()
        pages = self._bitmap()
        self._table = (1 + int(self._header["sub_hdr_size"]) + int(self._header["bitmap_blocks"])) * PAGE_SIZE
        self.pages = pages.limited(max(0, source.size - self._table) // _PAGE.itemsize)
        self.notes = self._notes()
        if plain:
            self._check_end(pages.count())
        if self._header["status"] & _INCOMPLETE:
            self.problems.append("its maker ran out of space: the dump says itself that it is incomplete")

    @property
    def identity(self) -> bytes:
        """What all parts of one dump have alike: the machine's names, the time, how many pages there are, the notes."""
        header = self._header
        numbers = b"".join(header[name].tobytes() for name in ("utsname", "timestamp", "max_mapnr", "nr_cpus"))
        return numbers + b"".join(note.data for note in self.notes)

    def descriptors(self, first: int, count: int) -> list[tuple[int, int, int, int]]:
        """(offset, size, flags, page flags) of `count` pages that are there, from page `first` on."""
        at = self._table + self.pages.rank(first) * _PAGE.itemsize
        raw = self._source.read(at, count * _PAGE.itemsize)
        table: list[tuple[int, int, int, int]] = np.frombuffer(raw, _PAGE, len(raw) // _PAGE.itemsize).tolist()
        return table

    def packed(self, offset: int, size: int) -> bytes:
        """A page's bytes as they are in the file. Raises ValueError: why not."""
        if not 0 < size <= 2 * PAGE_SIZE:
            raise ValueError(f"the page's descriptor is damaged (size {size})")
        data = self._source.read(offset, size)
        if len(data) < size:
            raise ValueError("the dump is cut short before its bytes")
        return data

    def _read_headers(self) -> None:
        raw = self._source.read(0, _HEADER.itemsize)
        sub_raw = self._source.read(PAGE_SIZE, _SUB_HEADER.itemsize)
        if raw[:8] != MAGIC:
            raise TargetError(f"{self._path} is no kdump: it begins with {raw[:8]!r}, not {MAGIC!r}")
        if len(raw) < _HEADER.itemsize or len(sub_raw) < _SUB_HEADER.itemsize:
            raise TargetError(f"{self._path} is cut short: its kdump headers are not whole")
        self._header, self._sub_header = np.frombuffer(raw, _HEADER)[0], np.frombuffer(sub_raw, _SUB_HEADER)[0]
        header, sub_header = self._header, self._sub_header
        if header["block_size"] != PAGE_SIZE:
            raise TargetError(
                f"{self._path} is a kdump with blocks of {header['block_size']} bytes; expected {PAGE_SIZE}, as of"
                " x86-64 (QEMU writes a 32-bit header while CPU 0 is not in 64-bit mode)"
            )
        version = header["header_version"]
        wide = "_64" if version >= _WIDE_NUMBERS_SINCE else ""
        self.split = bool(version >= 2 and sub_header["split"])
        self.count = int(sub_header["max_mapnr_64"] if wide else header["max_mapnr"])
        self.first = min(int(sub_header["start_pfn" + wide]), self.count) if self.split else 0
        self.last = min(int(sub_header["end_pfn" + wide]), self.count) if self.split else self.count

    def _bitmap(self) -> PageBitmap:
        # Two bitmaps of one size: what memory there is, then which of its pages are in the dump.
        each = int(self._header["bitmap_blocks"]) * PAGE_SIZE // 2
        at = (1 + int(self._header["sub_hdr_size"])) * PAGE_SIZE + each
        size = -(-self.count // 8)
        if self.count > _MAX_PAGES or size > each:
            raise TargetError(
                f"{self._path} is damaged: its header tells of {self.count} pages, but its bitmaps are of {each} bytes"
                f" each (and vtdpi reads at most {_MAX_PAGES} pages)"
            )
        if at + size > self._source.size:
            raise TargetError(
                f"{self._path} is cut short: its bitmaps end at {at + size}, the file at {self._source.size}"
            )
        bits = np.zeros(size, np.uint8)
        chunk = 1 << 20
        for start in range(0, size, chunk):
            raw = self._source.read(at + start, min(chunk, size - start))
            if len(raw) < min(chunk, size - start):
                raise TargetError(f"{self._path} is cut short: part of its bitmap is missing")
            part = np.frombuffer(raw, np.uint8)
            if part.any():  # a hole in a sparse file costs no memory here either
                bits[start : start + len(part)] = part
        _clear_outside(bits, self.first, self.last)
        return PageBitmap(bits)

    def _notes(self) -> list[Note]:
        if self._header["header_version"] < 4:
            return []
        size = int(self._sub_header["size_note"])
        raw = self._source.read(int(self._sub_header["offset_note"]), min(size, _NOTES_LIMIT))
        notes, whole = parse_notes(raw)
        if not whole or len(raw) < size:
            self.problems.append("its notes are cut short or damaged: CPUs may be missing")
        return notes

    def vmcoreinfo(self) -> bytes:
        """What its maker took from a Linux and stored apart from the notes, as text; empty if that is nothing."""
        if self._header["header_version"] < 3:
            return b""
        size = min(int(self._sub_header["size_vmcoreinfo"]), _VMCOREINFO_LIMIT)
        return self._source.read(int(self._sub_header["offset_vmcoreinfo"]), size) if size else b""

    def _check_end(self, due: int) -> None:
        """Say so if the last pages' bytes are not there: a file that was cut."""
        pages = self.pages.count()
        count = min(pages, 1024)
        raw = self._source.read(self._table + (pages - count) * _PAGE.itemsize, count * _PAGE.itemsize)
        last = np.frombuffer(raw, _PAGE, len(raw) // _PAGE.itemsize)
        end = max((offset + size for offset, size, _, _ in last.tolist()), default=0)
        if end > self._source.size or pages < due:
            self.problems.append(f"the file is cut short: it ends at {self._source.size}, its pages do not")


def _clear_outside(bits: NDArray[np.uint8], first: int, last: int) -> None:
    """Clear the bits of all pages but `first` up to, not including, `last`."""
    bits[: first // 8] = 0
    bits[-(-last // 8) :] = 0
    if first % 8 and first // 8 < len(bits):
        bits[first // 8] &= 0xFF << first % 8 & 0xFF
    if last % 8:
        bits[last // 8] &= (1 << last % 8) - 1
