"""Physical memory, byte for byte: QEMU's pmemsave, or the file of a memory-backend-file."""

from __future__ import annotations

import os
from collections.abc import Sequence

from inspector.base.errors import TargetError
from inspector.targets.dump.extents import Extents
from inspector.targets.dump.file import PAGE_SIZE
from inspector.targets.dump.file_target import FileTarget
from inspector.targets.ranges import Range

_4G = 1 << 32
_ADDRESS_LIMIT = 1 << 52
# QEMU's q35 keeps all RAM below 4 GiB up to this size; from here on, 2 GiB of it (pc_q35_init).
_Q35_SPLIT_AT = 0xB0000000


class RawImage(FileTarget):
    """An image whose first byte is physical address `base`. Holes of a sparse file read as zeros.

    The file of a memory-backend-file is RAM without the PCI hole: what lies beyond the first `below_4g` bytes (2 GiB on
    q35 with 2.75 GiB of RAM or more) is at 4 GiB and up. pmemsave writes the hole too: then leave `below_4g` out.

    Raises:
        TargetError: the file's size is not a multiple of 4096, which memory's always is.
    """

    kind = "raw image"

    def __init__(self, path: str | os.PathLike[str], base: int = 0, below_4g: int | None = None) -> None:
        self._base = base
        self._below_4g = below_4g
        super().__init__(path)

    def _open(self) -> None:
        size = self._file.size
        if size % PAGE_SIZE:
            raise TargetError(
                f"{self._file.path} is no dump that vtdpi knows, and no raw image of memory either:"
                f" {size} bytes are not a whole number of 4096-byte pages"
            )
        if not 0 <= self._base <= _ADDRESS_LIMIT - size:
            raise TargetError(
                f"physical address {self._base:#x} cannot be the base of an image: addresses have 52 bits"
            )
        low = size if self._below_4g is None else max(0, min(size, self._below_4g))
        self._extents = Extents([self._base, _4G], [low, size - low], [0, low])
        if self._below_4g is None and self._base == 0 and size >= _Q35_SPLIT_AT:
            self.warnings = [
                f"{self._file.path}: taken as memory from address 0 without a gap;"
                " in a memory-backend-file of this size, what lies beyond 2 GiB is RAM from 4 GiB on"
            ]

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory. Raises NotReadable beyond the image."""
        return self._read_pieces(address, size, self._extents.locate(address, size))

    def memory(self) -> Sequence[Range]:
        """The physical memory in the file, without the holes of a sparse file: they hold zeros only."""
        stretches = zip(
            self._extents.starts.tolist(), self._extents.ends.tolist(), self._extents.offsets.tolist(), strict=True
        )
        return [
            Range(start + data - offset, start + data_end - offset)
            for start, end, offset in stretches
            for data, data_end in self._file.data_ranges(offset, end - start)
        ]
