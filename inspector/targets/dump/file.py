"""A dump in a file, which is read by position, never whole."""

from __future__ import annotations

import os
import stat
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.ranges import Ranges
from inspector.targets.target import Cpu, Crash, Target
from structs.arrays import np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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
            self.vmcoreinfo = self._vmcoreinfo()
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

    def _vmcoreinfo(self) -> bytes:
        return next((note.data for note in self.notes if note.owner == "VMCOREINFO"), b"")

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


class Extents:
    """Stretches of addresses and the file offsets where their bytes are, ascending and without overlap.

    `starts`, `ends` and `offsets` are int64 arrays of one length: addresses `starts[i]` up to, not including, `ends[i]`
    are at `offsets[i]`.
    """

    def __init__(self, starts: ArrayLike, sizes: ArrayLike, offsets: ArrayLike) -> None:
        """Lay stretches over each other in any order; where two hold the same address, the first given wins."""
        starts, sizes, offsets = (np.asarray(column, np.int64) for column in (starts, sizes, offsets))
        self.starts, self.ends, owners = _first_wins(starts, starts + sizes)
        self.offsets = offsets[owners] + (self.starts - starts[owners])
        # A memoryview's items are plain integers: bisecting it is several times faster than bisecting the array.
        self._starts = self.starts.data
        self._ends = self.ends.data
        self._offsets = self.offsets.data

    @property
    def size(self) -> int:
        """Bytes held."""
        return int((self.ends - self.starts).sum())

    def locate(self, address: int, size: int) -> list[tuple[int, int]]:
        """Pieces `(offset, size)` that hold the addresses from `address` on; they end at the first one missing."""
        pieces = []
        i = bisect_right(self._starts, address) - 1 if address >= 0 else -1
        while size > 0 and 0 <= i < len(self._starts) and self._starts[i] <= address < self._ends[i]:
            length = min(size, self._ends[i] - address)
            pieces.append((self._offsets[i] + address - self._starts[i], length))
            address += length
            size -= length
            i += 1
        return pieces

    def ranges(self, below: int = 1 << 62) -> Ranges:
        """The addresses held, adjacent stretches merged; only those at offsets less than `below`."""
        real = self.offsets < below
        starts, ends = self.starts[real], self.ends[real]
        apart = starts[1:] != ends[:-1]
        first, last = np.ones(len(starts), bool), np.ones(len(ends), bool)
        first[1:] = last[:-1] = apart
        return Ranges(starts[first], ends[last])


def _first_wins(
    starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Starts, ends and owners (indices into the arguments) of the disjoint stretches that remain."""
    owners = np.flatnonzero(ends > starts)
    owners = owners[np.argsort(starts[owners], kind="stable")]
    if (starts[owners[1:]] >= ends[owners[:-1]]).all():
        return starts[owners], ends[owners], owners

    # Cut the addresses at every start and end. For each cut the lowest index that covers it is wanted: each stretch is
    # noted at two runs of 2^k cuts that together cover it, then the notes for runs are handed down to their halves.
    given = np.sort(owners)
    edges = np.sort(np.concatenate((starts[given], ends[given])))
    # np.unique, without its import of numpy.ma (15 ms).
    edges = edges[np.concatenate(([True], edges[1:] != edges[:-1]))]
    first, last = np.searchsorted(edges, starts[given]), np.searchsorted(edges, ends[given])
    level = np.frexp(last - first)[1] - 1
    nobody = len(starts)
    lowest = np.full(len(edges), nobody)
    for k in range(int(level.max()), -1, -1):
        at = level == k
        np.minimum.at(lowest, first[at], given[at])
        np.minimum.at(lowest, last[at] - (1 << k), given[at])
        if k:
            half = 1 << k - 1
            handed = lowest.copy()
            np.minimum(handed[half:], lowest[:-half], out=handed[half:])
            lowest = handed
    changes = np.concatenate(([True], lowest[1:] != lowest[:-1]))
    edges, lowest = edges[changes], lowest[changes]
    # The last edge ends the last stretch, so it covers nothing and nobody owns it.
    held = np.flatnonzero(lowest < nobody)
    return edges[held], edges[held + 1], lowest[held]
