"""Files that appear whole: written beside the old one, brought to the disk, then renamed over it.

Whatever fails, or ends this process, the old file stays as it was. Two who write one file leave what one of them wrote.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inspector.base.errors import UsageError

PREFIX = ".vtdpi-"
"""How the file beside begins: one that is left behind by SIGKILL or a power cut is known by it."""


class NotWritten(UsageError):
    """A file cannot be written, or must not be."""


@contextmanager
def replacing(path: str | os.PathLike[str], keep: Iterable[str | os.PathLike[str]] = ()) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` when the block ends, and only if it ends well.

    A symbolic link stays one, and what it leads to is replaced; the file's mode stays. A device or a pipe is written
    to as it is.

    Args:
        path: where to.
        keep: files that must not be replaced: those that are being read.

    Raises:
        NotWritten: the place, or the disk, does not take it, or it is one of `keep`.
    """
    name = os.fspath(path)
    try:
        place = Path(os.path.realpath(name))
        mode = _mode(place)
    except (OSError, ValueError) as error:
        raise NotWritten(f"{name} cannot be written: {_why(error)}") from error
    if mode is not None:
        _refuse_to_lose(name, keep)
        if not os.access(place, os.W_OK, effective_ids=True):
            raise NotWritten(f"{name} cannot be written: it is read-only")
    try:
        if mode is None or stat.S_ISREG(mode):
            with _beside(place, 0o666 & ~_umask() if mode is None else stat.S_IMODE(mode)) as fresh:
                yield fresh
        else:
            with open(place, "wb") as existing:
                yield existing
    except OSError as error:
        raise NotWritten(f"{name} cannot be written: {_why(error)}") from error


def write(path: str | os.PathLike[str], content: str | bytes, keep: Iterable[str | os.PathLike[str]] = ()) -> None:
    """A file with this content in place of `path`, text in UTF-8; see `replacing`."""
    raw = content if isinstance(content, bytes) else _encoded(content)
    with replacing(path, keep) as file:
        file.write(raw)


def append(path: str | os.PathLike[str], content: str, keep: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Add to the end of a file: all of it, or nothing. Raises NotWritten."""
    raw = _encoded(content)
    _refuse_to_lose(path, keep)
    try:
        with open(path, "ab", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            try:
                _write_all(file.fileno(), raw)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(file.fileno(), end)
                raise
    except (OSError, ValueError) as error:
        raise NotWritten(f"{os.fspath(path)} cannot be written: {_why(error)}") from error


def _refuse_to_lose(path: str | os.PathLike[str], keep: Iterable[str | os.PathLike[str]]) -> None:
    if any(_is_same(path, kept) for kept in keep):
        raise NotWritten(f"{os.fspath(path)} is what is being read: expected another file's name")


def _encoded(content: str) -> bytes:
    # What no UTF-8 can say (lone surrogates) is written as an escape.
    return content.encode("utf-8", "backslashreplace")


@contextmanager
def _beside(place: Path, mode: int) -> Iterator[BinaryIO]:
    import tempfile

    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(name, place)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    # The rename itself has to reach the disk too; not every file system lets a directory be brought there.
    with suppress(OSError):
        directory = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _write_all(handle: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(handle, view) :]


def _mode(place: Path) -> int | None:
    try:
        return place.stat().st_mode
    except FileNotFoundError:
        return None


def _is_same(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _umask() -> int:
    # There is no way to ask for it without setting it but this one, and that would race with other threads.
    with suppress(OSError, StopIteration, ValueError), open("/proc/self/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    return 0o077


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
