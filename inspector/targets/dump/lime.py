"""LiME's format of Linux memory: ranges one after the other, each behind a header with its addresses.

Source: LiME's documentation, doc/README.md ("lime_mem_range_header").
"""

from __future__ import annotations

import struct

from inspector.base.errors import TargetError
from inspector.targets.dump.file import Extents, FileTarget
from inspector.targets.ranges import Ranges

MAGIC = b"EMiL"
_HEADER = struct.Struct("<4sIQQ8x")
_VERSION = 1
_ADDRESS_LIMIT = 1 << 52


class Lime(FileTarget):
    """A LiME image. What comes after a header that makes no sense is left out, with a warning.

    Raises:
        TargetError: it holds no memory, or is of another version.
    """

    kind = "LiME image"

    def _open(self) -> None:
        starts: list[int] = []
        sizes: list[int] = []
        offsets: list[int] = []
        at = 0
        while at < self._source.size:
            raw = self._source.read(at, _HEADER.size)
            if len(raw) < _HEADER.size:
                self._warn(f"the file is cut short within the header at offset {at:#x}")
                break
            magic, version, first, last = _HEADER.unpack(raw)
            if magic != MAGIC or version != _VERSION or not first <= last < _ADDRESS_LIMIT:
                self._warn(
                    f"the header at offset {at:#x} is damaged, or of a version other than {_VERSION}; the rest is lost"
                )
                break
            at += _HEADER.size
            size = last - first + 1
            held = max(0, min(size, self._source.size - at))
            if held < size:
                self._warn(f"the file is cut short: {held} of the {size} bytes from {first:#x} on are there")
            starts.append(first)
            sizes.append(held)
            offsets.append(at)
            at += size
        self._extents = Extents(starts, sizes, offsets)
        if not self._extents.size:
            raise TargetError(f"{self._file.path} is a LiME image that holds no memory; is it cut?")

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory. Raises NotReadable."""
        return self._read_pieces(address, size, self._extents.locate(address, size))

    def memory(self) -> Ranges:
        """The physical memory that it holds, adjacent ranges merged."""
        return self._extents.ranges()
