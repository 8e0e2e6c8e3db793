"""What all targets that are files have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump import flattened
from inspector.targets.dump.file import File
from inspector.targets.dump.notes import Note, cpus_of, crash_of
from inspector.targets.target import Cpu, Target

ZEROS = 1 << 61
"""Offsets from here on stand for bytes that no file holds, and that are zero."""


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
            self._source, self.warnings = flattened.source_of(self._file)
            self._open()
            self.crash = crash_of(self.notes)
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def _open(self) -> None:
        """Read the headers. Raises TargetError if they make no sense."""

    def cpus(self) -> Sequence[Cpu]:
        """The CPUs whose registers the dump's notes hold."""
        return cpus_of(self.notes)

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        self._file.close()

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
