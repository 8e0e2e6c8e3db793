"""Files that appear whole (see `structs.new_file`): what stands in their way is a line, what is being read stays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from inspector.base.errors import UsageError
from structs import new_file


class NotWritten(UsageError):
    """A file cannot be written, or must not be."""


@contextmanager
def replacing(path: str | os.PathLike[str], keep: Iterable[str | os.PathLike[str]] = ()) -> Iterator[BinaryIO]:
    """As `structs.new_file.replacing`.

    Args:
        path: where to.
        keep: files that must not be replaced: those that are being read.

    Raises:
        NotWritten: the place, or the disk, does not take it, or it is one of `keep`.
    """
    refuse_to_lose(path, keep)
    try:
        with new_file.replacing(path) as file:
            yield file
    except OSError as error:
        raise NotWritten(f"{os.fspath(path)} cannot be written: {_why(error)}") from error


def write(path: str | os.PathLike[str], content: str | bytes, keep: Iterable[str | os.PathLike[str]] = ()) -> None:
    """A file with this content in place of `path`, text in UTF-8; see `replacing`."""
    raw = content if isinstance(content, bytes) else _encoded(content)
    with replacing(path, keep) as file:
        file.write(raw)


def append(path: str | os.PathLike[str], content: str, keep: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Add to the end of a file: all of it, or nothing. Raises NotWritten."""
    raw = _encoded(content)
    refuse_to_lose(path, keep)
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


def refuse_to_lose(path: str | os.PathLike[str], keep: Iterable[str | os.PathLike[str]]) -> None:
    """Raises NotWritten if a file is one of `keep`: for who would rather know it before long work."""
    if any(is_same(path, kept) for kept in keep):
        raise NotWritten(f"{os.fspath(path)} is what is being read: expected another file's name")


def _encoded(content: str) -> bytes:
    # What no UTF-8 can say (lone surrogates) is written as an escape.
    return content.encode("utf-8", "backslashreplace")


def _write_all(handle: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(handle, view) :]


def is_same(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two names are those of one file that is there."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return False


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
