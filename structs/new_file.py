"""Files that appear whole: written beside the old one, brought to the disk, then renamed over it.

Whatever fails, or ends this process, the old file stays as it was. Two who write one file leave what one of them wrote.
It stands here for the inspector and the simulated machine, which do not know each other.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PREFIX = ".vtdpi-"
"""How the file beside begins: one that is left behind by SIGKILL or a power cut is known by it."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the place of `path` when the block ends, and only if it ends well.

    A symbolic link stays one, and what it leads to is replaced; the file's mode stays. A device or a pipe is written
    to as it is.

    Raises:
        OSError: the place, or the disk, does not take it.
    """
    place, mode = _found(path)
    if mode is None or stat.S_ISREG(mode):
        if mode is not None and not os.access(place, os.W_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, "it is read-only")
        with _beside(place, mode) as fresh:
            yield fresh
    else:
        with place.open("wb") as existing:
            yield existing


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """A file with this content in place of `path`; see `replacing`."""
    with replacing(path) as file:
        file.write(content)


def _found(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """Where the file is, and the mode of what is there."""
    try:
        place = Path(os.path.realpath(path))
        return place, place.stat().st_mode
    except FileNotFoundError:
        return place, None
    except ValueError as error:
        # A name with a NUL in it.
        raise OSError(errno.EINVAL, str(error)) from None


@contextmanager
def _beside(place: Path, mode: int | None) -> Iterator[BinaryIO]:
    beside = place.with_name(f"{PREFIX}{os.urandom(8).hex()}")
    # What only its owner may read is not there for others meanwhile.
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if mode is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            os.fsync(file.fileno())
        beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    # The rename itself has to reach the disk too; not every file system lets a directory be brought there.
    with suppress(OSError):
        directory = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
