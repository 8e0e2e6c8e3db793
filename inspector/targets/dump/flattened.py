"""makedumpfile's flattened format: a file written as a list of (offset, bytes), so that it can go through a pipe.

QEMU writes kdump-zlib so; kdump-raw-zlib, which later versions have, is the plain file.
Source: makedumpfile.h (makedumpfile_header, makedumpfile_data_header); QEMU dump/dump.c (write_start_flat_header,
write_buffer).
"""

from __future__ import annotations

import struct
from array import array

import numpy as np

from inspector.base.errors import TargetError
from inspector.targets.dump.extents import Extents
from inspector.targets.dump.file import File

MAGIC = b"makedumpfile"

_HEADER = struct.Struct(">16sqq")  # signature, type, version
_BLOCK = struct.Struct(">qq")  # offset, size; then that many bytes
_FIRST_BLOCK = 4096
_END = -1
_OFFSET_LIMIT = 1 << 60


class Flattened:
    """The file that a flattened file stands for, read in place. Where blocks overlap, the later one wins.

    Bytes that no block holds are missing, not zero: nothing is invented when the file was cut. `warnings` tells that.

    Raises:
        TargetError: the flattened file's own header is cut or of another version.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self.warnings: list[str] = []
        raw = file.read(0, _HEADER.size)
        if len(raw) < _HEADER.size or file.size < _FIRST_BLOCK:
            raise TargetError(
                f"{file.path} is cut short: {file.size} bytes of a flattened dump's header of {_FIRST_BLOCK}"
            )
        _, kind, version = _HEADER.unpack(raw)
        if (kind, version) != (1, 1):
            raise TargetError(
                f"{file.path} is a flattened dump of type {kind}, version {version}; expected type 1, version 1"
            )
        starts, sizes, offsets = self._index()
        self._extents = Extents(starts[::-1], sizes[::-1], offsets[::-1])
        self.size = int(self._extents.ends.max(initial=0))

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at `offset`; fewer than `size` if not all were written."""
        return b"".join([self._file.read(at, length) for at, length in self._extents.locate(offset, size)])

    def _index(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The blocks' offsets in the file they stand for, their sizes, and where their bytes are."""
        starts, sizes, offsets = array("q"), array("q"), array("q")
        position = _FIRST_BLOCK
        while True:
            raw = self._file.read(position, _BLOCK.size)
            if len(raw) < _BLOCK.size:
                self._warn("the file is cut short: it has no end mark")
                break
            start, size = _BLOCK.unpack(raw)
            if start == size == _END:
                break
            if not (0 <= start < _OFFSET_LIMIT and 0 < size < _OFFSET_LIMIT):
                self._warn(
                    f"the block at offset {position:#x} is damaged (offset {start}, size {size}); the rest is lost"
                )
                break
            position += _BLOCK.size
            starts.append(start)
            sizes.append(min(size, self._file.size - position))
            offsets.append(position)
            position += size
        return np.array(starts), np.array(sizes), np.array(offsets)

    def _warn(self, line: str) -> None:
        self.warnings.append(f"{self._file.path}: {line}")
