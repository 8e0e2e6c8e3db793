"""A dump in a file, which is read by position, never whole."""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.target import Cpu, Crash, Target

if TYPE_CHECKING:
    from inspector.targets.dump.notes import Note

PAGE_SIZE = 4096
FLATTENED = b"makedumpfile"


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


ZEROS = 1 << 61
"""Offsets from here on stand for bytes that no file holds, and that are zero."""


def is_flattened(file: File) -> bool:
    """Whether a file is in makedumpfile's flattened form."""
    return file.read(0, len(FLATTENED)) == FLATTENED


def source_of(file: File) -> tuple[Source, list[str]]:
    """What a file stands for, itself unless it is flattened, and what is wrong with that. Raises TargetError."""
    if not is_flattened(file):
        return file, []
    from inspector.targets.dump.flattened import Flattened

    unpacked = Flattened(file)
    return unpacked, unpacked.warnings


class FileTarget(Target):
    """A dump in a file. Subclasses say what `kind` it is and read its headers in `_open`.

    `notes` are the dump's ELF notes (none in a raw image). `warnings` are lines about what is wrong with a dump that
    can be read all the same, such as a file that was cut. A file in makedumpfile's flattened form is read as the one
    that it stands for.

    Raises:
        TargetError: the file cannot be opened, or is not such a dump.
    """

    kind: str
    notes: Sequence[Note] = ()
    warnings: Sequence[str] = ()

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = File(path)
        self.description = f"{self.kind} {self._file.path}"
        self.files: Sequence[str] = (self._file.path,)
        try:
            self._source, self.warnings = source_of(self._file)
            self._open()
            self.crash = self._crash()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _open(self) -> None:
        """Read the headers. Raises TargetError if they make no sense."""

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs whose registers the dump's notes hold."""
        from inspector.targets.dump.notes import cpus_of

        return cpus_of(self.notes)

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        self._file.close()

    def _crash(self) -> Crash | None:
        from inspector.targets.dump.notes import crash_of

        return crash_of(self.notes)

    def _warn(self, line: str) -> None:
        self.warnings = [*self.warnings, f"{self._file.path}: {line}"]

    def _read_pieces(self, address: int, size: int, pieces: Sequence[tuple[int, int]]) -> bytes:
        """Bytes of the file for physical addresses from `address` on, given as pieces `(offset, size)`."""
        held = sum(length for _, length in pieces)
        if held < size:
            raise NotReadable(address + held, size - held, f"{self.description} does not hold it")
        parts = [bytes(length) if at >= ZEROS else self._source.read(at, length) for at, length in pieces]
        data = b"".join(parts)
        if len(data) < size:
            if isinstance(self._source, File):
                raise TargetError(f"{self._file.path} became shorter while it was read: was it overwritten?")
            lost = next(
                n for n, (part, (_, length)) in enumerate(zip(parts, pieces, strict=True)) if len(part) < length
            )
            held = sum(len(part) for part in parts[: lost + 1])
            raise NotReadable(address + held, size - held, f"{self.description} does not hold it")
        return data
