"""kdump-compressed dumps: QEMU's kdump-zlib and makedumpfile's, flattened, split, or plain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from inspector.base.errors import NotReadable, TargetError
from inspector.targets.dump.file import PAGE_SIZE, File, FileTarget, source_of
from inspector.targets.dump.kdump_part import MAGIC, KdumpPart
from inspector.targets.dump.packing import unpacked
from inspector.targets.ranges import Ranges

_CACHED_PAGES = 1024
_NEIGHBOURS_LIMIT = 4096
"""Files of a directory that are looked at for the other parts of a split dump."""


class Kdump(FileTarget):
    """A kdump-compressed dump of an x86-64 machine. Pages are unpacked as they are read; the last 1024 are kept.

    If it was split (`makedumpfile --split`), its other parts are found in the same directory, whatever their names.

    Args:
        path: the file.
        parts: the other parts, if they are not to be looked for.

    Raises:
        TargetError: its headers or bitmap are cut or make no sense; or one of `parts` is none of its parts.
    """

    kind = "kdump"

    def __init__(self, path: str | os.PathLike[str], parts: Sequence[str] = ()) -> None:
        self._given = parts
        super().__init__(path)

    def _open(self) -> None:
        self._others: list[File] = []
        part = KdumpPart(self._source, self._file.path, plain=self._source is self._file)
        for problem in part.problems:
            self._warn(problem)
        self.notes = part.notes
        if self._given and not part.split:
            raise TargetError(f"{self._file.path} is a whole kdump, not one part of a split one")
        self._parts = self._with_the_others(part) if part.split else [part]
        self._page = lru_cache(_CACHED_PAGES)(self._unpack)

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes of physical memory. Raises NotReadable: a page was left out, cut off or damaged."""
        if size == 0:
            return b""
        if address < 0:
            raise NotReadable(address, size, "there is no such address")
        end = address + size
        first, last = address // PAGE_SIZE, -(-end // PAGE_SIZE)
        if (missing := self._first_missing(first, last)) is not None:
            at = max(address, missing * PAGE_SIZE)
            raise NotReadable(at, end - at, f"{self.description} does not hold it")
        pages: list[bytes] = []
        for number, part in enumerate(self._parts):
            start, stop = max(first, part.first), min(last, part.last)
            descriptors = part.descriptors(start, stop - start) if start < stop else []
            for page in range(start, stop):
                try:
                    if page - start >= len(descriptors):
                        raise ValueError("the dump is cut short before its page descriptor")
                    offset, length, flags, _ = descriptors[page - start]
                    pages.append(self._page(number, offset, length, flags))
                except ValueError as error:
                    at = max(address, page * PAGE_SIZE)
                    raise NotReadable(at, end - at, f"{self.description}: {error}") from None
        return b"".join(pages)[address % PAGE_SIZE :][:size]

    def memory(self) -> Ranges:
        """The physical memory whose pages are in the dump."""
        runs = [part.pages.runs() for part in self._parts]
        starts, ends = (np.concatenate(column) if len(runs) > 1 else column[0] for column in zip(*runs, strict=True))
        apart = starts[1:] != ends[:-1]
        if apart.all():
            return Ranges(starts * PAGE_SIZE, ends * PAGE_SIZE)
        return Ranges(starts[np.append(True, apart)] * PAGE_SIZE, ends[np.append(apart, True)] * PAGE_SIZE)

    def close(self) -> None:
        """Release the files. Safe to call twice."""
        super().close()
        for other in self.__dict__.get("_others", ()):
            other.close()

    def _first_missing(self, first: int, last: int) -> int | None:
        for part in self._parts:
            if part.first <= first < part.last:
                missing = part.pages.first_missing(first, min(last, part.last))
                if missing is not None or last <= part.last:
                    return missing
                first = part.last
        return first

    def _with_the_others(self, one: KdumpPart) -> list[KdumpPart]:
        """All parts of a split dump, in the order of their pages; those that are not there are a warning."""
        parts = [one]
        for name in self._given or self._beside():
            other = self._neighbour(name, one)
            if other:
                parts.append(other)
            elif self._given:
                raise TargetError(f"{name} is no part of the split kdump {self._file.path}")
        parts.sort(key=lambda part: (part.first, part.last))
        chosen: list[KdumpPart] = []
        end = 0
        missing: list[str] = []
        for part in parts:
            if part.last <= part.first or part.first < end:
                continue
            if part.first > end:
                missing.append(f"{end:#x} to {part.first - 1:#x}")
            chosen.append(part)
            end = part.last
        if end < one.count:
            missing.append(f"{end:#x} to {one.count - 1:#x}")
        if missing:
            self._warn(
                f"it is one part of a split kdump, and the part with pages {', '.join(missing)} is not"
                f" {'among the files named' if self._given else 'in its directory: put them side by side'}"
            )
        return chosen or [one]

    def _beside(self) -> list[str]:
        """The other files of its directory."""
        own = Path(self._file.path).absolute()
        try:
            names = sorted(entry.path for entry in os.scandir(own.parent) if entry.is_file())[:_NEIGHBOURS_LIMIT]
        except OSError:
            return []
        return [name for name in names if Path(name) != own]

    def _neighbour(self, name: str, one: KdumpPart) -> KdumpPart | None:
        """The part of the same dump that a file holds, if it does."""
        try:
            file = File(name)
        except TargetError:
            return None
        try:
            source, _ = source_of(file)
            if source.read(0, len(MAGIC)) == MAGIC:
                part = KdumpPart(source, name, plain=source is file)
                if part.split and part.identity == one.identity:
                    self._others.append(file)
                    self.files = (*self.files, name)
                    for problem in part.problems:
                        self.warnings = [*self.warnings, f"{name}: {problem}"]
                    return part
        except TargetError:
            pass
        file.close()
        return None

    def _vmcoreinfo(self) -> bytes:
        return super()._vmcoreinfo() or self._parts[0].vmcoreinfo()

    def _unpack(self, number: int, offset: int, size: int, flags: int) -> bytes:
        """A page's 4096 bytes. Raises ValueError: why not."""
        return unpacked(self._parts[number].packed(offset, size), flags)
