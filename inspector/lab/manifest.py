"""What was in a tree when it was unpacked, in a file of it, so that one that was damaged since is noticed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

MANIFEST = "files.sha256"


def write(root: Path) -> None:
    """Note the files and symbolic links of a tree."""
    body = b"".join(b"%s  %s\n" % (_sum(path), os.fsencode(path.relative_to(root))) for path in _paths(root))
    (root / MANIFEST).write_bytes(_digest(body) + b"\n" + body)


def damage(root: Path) -> str | None:
    """The first file that is not as it was, or is gone; None if there is none, or nothing was noted.

    More files than there were do no harm.
    """
    try:
        first, _, body = (root / MANIFEST).read_bytes().partition(b"\n")
    except FileNotFoundError:
        # Of an older version of this program.
        return None
    except OSError:
        return MANIFEST
    if first != _digest(body):
        return MANIFEST
    for line in body.splitlines():
        expected, _, name = line.partition(b"  ")
        path = root / os.fsdecode(name)
        try:
            if _sum(path) != expected:
                return str(path.relative_to(root))
        except OSError:
            return str(path.relative_to(root))
    return None


def _paths(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file())


def _sum(path: Path) -> bytes:
    """Of a file's bytes; of a link, of where it leads."""
    if path.is_symlink():
        return _digest(b"link " + os.fsencode(path.readlink()))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().encode()


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).hexdigest().encode()
