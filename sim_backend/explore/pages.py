"""Memory that grows where it is: pages come when they are first touched, of the machine's memory or of a file."""

from __future__ import annotations

import ctypes
import mmap
from pathlib import Path
from tempfile import TemporaryFile

UNIT = 1 << 21
"""Large pages are this large: where there are any, far fewer of them have to be found."""


class Pages:
    """Zeros, to be read and written by address.

    Args:
        size: in bytes.
        folder: where the file is made that holds them; None: memory.

    Attributes:
        address: of the first byte; it changes when they grow.
    """

    def __init__(self, size: int, folder: Path | None = None) -> None:
        size = _rounded(size)
        if folder is None:
            self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:
            with TemporaryFile(dir=folder) as file:
                file.truncate(size)
                self._map = mmap.mmap(file.fileno(), size)
        self._there()

    def grow(self, size: int) -> None:
        """Have room for so many bytes; what is in them stays."""
        if size > len(self._map):
            self._map.resize(_rounded(size))
            self._there()

    def _there(self) -> None:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._map.madvise(mmap.MADV_HUGEPAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))


def _rounded(size: int) -> int:
    return -(-size // UNIT) * UNIT
