"""A file read by position, never whole."""

from __future__ import annotations

import os
import stat
from typing import Protocol

from inspector.base.errors import TargetError

PAGE_SIZE = 4096


class Source(Protocol):
    """Bytes by offset: a file, or the file that a container holds."""

    @property
    def size(self) -> int:
        """Bytes up to the end."""

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at `offset`; fewer than `size` if not all are there."""


class File:
    """A regular file, open for reading. Use `close`, or leave it to the target that owns it.

    It is read with pread(2), not mapped: pages of a mapping count as the process's memory, and a file that is cut short
    while it is mapped (a dump being replaced, say) kills the process with SIGBUS, where pread gives a short read.

    Raises:
        TargetError: it cannot be opened, is no regular file, or is empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            # O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise TargetError(f"{self.path} cannot be opened: {why}") from error
        status = os.fstat(self._fd)
        self.size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self.close()
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise TargetError(f"{self.path} is {kind}; expected a dump file")
        if self.size == 0:
            self.close()
            raise TargetError(f"{self.path} is empty; expected a dump file")

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at `offset`; fewer than `size` at the end of the file.

        Raises:
            TargetError: the file is closed, or the system reports an I/O error.
        """
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        try:
            data = os.pread(self._fd, size, offset)
            while len(data) < size and (more := os.pread(self._fd, size - len(data), offset + len(data))):
                data += more
        except OSError as error:
            raise TargetError(f"{self.path} cannot be read at offset {offset:#x}: {error.strerror}") from error
        return data

    def data_ranges(self, offset: int, size: int) -> list[tuple[int, int]]:
        """The parts `(start, end)` of a stretch of the file that are not holes, ascending, in bytes from its start."""
        ranges = []
        position, end = offset, offset + size
        try:
            while position < end:
                start = os.lseek(self._fd, position, os.SEEK_DATA)
                position = os.lseek(self._fd, start, os.SEEK_HOLE)
                if start < end:
                    ranges.append((start, min(position, end)))
        except OSError:  # ENXIO: no data after `position`
            pass
        return ranges

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
