"""Physical memory, byte for byte: QEMU's pmemsave, or the file of a memory-backend-file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from inspector.base.errors import TargetError, UsageError
from inspector.targets.dump import smbios
from inspector.targets.dump.file import PAGE_SIZE, Extents, FileTarget
from inspector.targets.ranges import Range

_4G = 1 << 32
_ADDRESS_LIMIT = 1 << 52
# QEMU's q35 keeps all RAM below 4 GiB up to this size; from here on, 2 GiB of it (pc_q35_init).
_Q35_SPLIT_AT = 0xB0000000
_VMWARE, _VMWARE_SPLIT = ".vmem", 3 << 30
"""VMware's machines have the hole from 3 GiB on."""
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read_size(word: str) -> int:
    """Bytes as people write them: `2G`, `3072M`, `0x80000000`, `0`. Raises UsageError."""
    match = re.fullmatch(r"(0x[0-9a-f]{1,13}|[0-9]{1,15})([kmg]?)", word.lower())
    if not match:
        raise UsageError(f"{word!r} is no size; expected one such as 2G, 3072M or 0x80000000")
    return int(match[1], 0 if match[1].startswith("0x") else 10) * _UNITS[match[2]]


class RawImage(FileTarget):
    """An image whose first byte is physical address `base`. Holes of a sparse file read as zeros.

    The file of a memory-backend-file, and VMware's .vmem, is RAM without the PCI hole: what lies beyond the first
    `below_4g` bytes is at 4 GiB and up. Where that is not said it is looked up in the firmware's SMBIOS tables; 0 says
    that there is no such gap, as in a file of pmemsave, which writes the hole too.

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
        below_4g = self._found_below_4g() if self._below_4g is None and self._base == 0 else self._below_4g
        low = max(0, min(size, below_4g or size))
        self._extents = Extents([self._base, _4G], [low, size - low], [0, low])
        if low < size:
            self.description += f" (from {low:#x} on it is memory at 4 GiB)"
        elif below_4g is None and self._base == 0 and size >= _Q35_SPLIT_AT:
            self._warn(
                "taken as memory from address 0 without a gap; in a memory-backend-file of this size, what lies beyond"
                " 2 GiB is RAM from 4 GiB on: say so with --hole 2G, or --hole 0 if there is no gap"
            )

    def _found_below_4g(self) -> int | None:
        """How many bytes of the file lie below 4 GiB, 0 if all are at their own address; None if nothing tells."""
        size = self._file.size
        known = smbios.ram(self._file.read)
        high = sum(found.size for found in known if found.start >= _4G)
        if known and size == max(found.end for found in known):
            return 0
        low = max((found.end for found in known if found.start < _4G), default=0)
        if high and low < _4G and size == low + high:
            return low
        return _VMWARE_SPLIT if self._file.path.endswith(_VMWARE) and size > _VMWARE_SPLIT else None

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
