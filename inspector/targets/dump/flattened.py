"""makedumpfile's flattened format: an ELF core or a kdump as a list of (offset, bytes) that can go through a pipe.

QEMU writes kdump-zlib so; kdump-raw-zlib, which later versions have, is the plain file.
Source: makedumpfile.h (makedumpfile_header, makedumpfile_data_header); QEMU dump/dump.c (write_start_flat_header,
write_buffer).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator

import numpy as np

from inspector.base.errors import TargetError
from inspector.targets.dump.file import Extents, File

_HEADER = struct.Struct(">16sqq")  # signature, type, version
_BLOCK = struct.Struct(">qq")  # offset, size; then that many bytes
_FIRST_BLOCK = 4096
_END = -1
_OFFSET_LIMIT = 1 << 60


def head_of(file: File, size: int) -> bytes:
    """The first bytes of what a file stands for, found without going through all of it. Raises TargetError."""
    _check_header(file)
    for start, length, at in _blocks(file, []):
        if start == 0:
            return file.read(at, min(length, size))
    return b""


class Flattened:
    """The file that a flattened file stands for, read in place. Where blocks overlap, the later one wins.

    Bytes that no block holds are missing, not zero: nothing is invented when the file was cut. `warnings` tells that.
    `size` is that of the file it stands for; `end` is where its own end mark ends, or would if it is cut.

    Raises:
        TargetError: the flattened file's own header is cut or of another version.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self.warnings: list[str] = []
        _check_header(file)
        starts, sizes, offsets = self._index()
        self._extents = Extents(starts[::-1], sizes[::-1], offsets[::-1])
        self.size = int(self._extents.ends.max(initial=0))
        self.end = int((offsets + sizes).max(initial=_FIRST_BLOCK)) + _BLOCK.size

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at `offset`; fewer than `size` if not all were written."""
        return b"".join([self._file.read(at, length) for at, length in self._extents.locate(offset, size)])

    def stretches(self) -> Iterator[tuple[int, int, int]]:
        """What was written, ascending: offset in the file it stands for, size, and where those bytes are."""
        extents = self._extents
        for start, end, at in zip(
            extents.starts.tolist(), extents.ends.tolist(), extents.offsets.tolist(), strict=True
        ):
            yield start, end - start, at

    def _index(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The blocks' offsets in the file they stand for, their sizes, and where their bytes are."""
        starts, sizes, offsets = array("q"), array("q"), array("q")
        for start, size, at in _blocks(self._file, self.warnings):
            starts.append(start)
            sizes.append(size)
            offsets.append(at)
        return np.array(starts), np.array(sizes), np.array(offsets)


def _check_header(file: File) -> None:
    raw = file.read(0, _HEADER.size)
    if len(raw) < _HEADER.size or file.size < _FIRST_BLOCK:
        raise TargetError(f"{file.path} is cut short: {file.size} bytes of a flattened dump's header of {_FIRST_BLOCK}")
    _, kind, version = _HEADER.unpack(raw)
    if (kind, version) != (1, 1):
        raise TargetError(
            f"{file.path} is a flattened dump of type {kind}, version {version}; expected type 1, version 1"
        )


def _blocks(file: File, warnings: list[str]) -> Iterator[tuple[int, int, int]]:
    """Each block's offset in the file it stands for, its size, and where its bytes are; why they end early is a line
    in `warnings`."""
    position = _FIRST_BLOCK
    while True:
        raw = file.read(position, _BLOCK.size)
        if len(raw) < _BLOCK.size:
            warnings.append(f"{file.path}: the file is cut short: it has no end mark")
            return
        start, size = _BLOCK.unpack(raw)
        if start == size == _END:
            return
        if not (0 <= start < _OFFSET_LIMIT and 0 < size < _OFFSET_LIMIT):
            warnings.append(
                f"{file.path}: the block at offset {position:#x} is damaged (offset {start}, size {size});"
                " the rest is lost"
            )
            return
        position += _BLOCK.size
        yield start, min(size, file.size - position), position
        position += size
