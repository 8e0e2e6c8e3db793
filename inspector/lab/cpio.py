"""The `newc` cpio archives that Linux unpacks as its first root (kernel documentation, initramfs buffer format)."""

from __future__ import annotations

import stat
from collections.abc import Iterable

from structs.frozen import frozen


@frozen
class Entry:
    """One file: path without a leading slash, mode with type bits (stat.S_IFREG), content, device numbers."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """A directory."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | mode, content)


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of these entries, in order; a directory must come before what it holds."""
    numbered = [*entries, Entry("TRAILER!!!", 0)]
    return b"".join(_record(number, entry) for number, entry in enumerate(numbered, start=1))


def _record(inode: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
