"""Which files a survey looks at: by name, folder, glob or URL."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from inspector.base.errors import TargetError, UsageError
from inspector.base.new_file import is_same
from structs.frozen import frozen

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

WILD = frozenset("*?[")


@frozen
class Evidence:
    """A file, and what tells that it is still the same one.

    Attributes:
        path: a path, or a URL as fsspec has it.
        size: bytes; None if the place does not tell.
        modified: when it last changed, or its checksum, as its place tells it; empty if it does not.
    """

    path: str
    size: int | None
    modified: str


def found(words: Sequence[str], but: str | None = None) -> list[Evidence]:
    """The files that these words name, each once, in order: files, all files of folders, and what globs match.

    A folder that cannot be listed, and a link that leads to one elsewhere, are there as files that cannot be read.

    Args:
        but: a file that is left out.

    Raises:
        UsageError: there is nothing of that name, or no way to read such a URL.
        TargetError: the place does not answer.
    """
    files: dict[str, Evidence] = {}
    for word in words:
        named = list(_remote(word) if _is_url(word) else _local(word))
        if not named:
            raise UsageError(f"{word}: no file there; expected a file, a folder, a glob or a URL")
        files.update((each.path, each) for each in named if but is None or not is_same(each.path, but))
    return list(files.values())


@contextmanager
def at_hand(path: str) -> Iterator[str]:
    """A file of this machine with the content: itself, or a copy of what a URL names, which is gone afterwards.

    Raises:
        TargetError: it cannot be fetched.
    """
    if not _is_url(path):
        yield path
        return
    import tempfile

    files, inside = _file_system(path)
    with tempfile.TemporaryDirectory(prefix="vtdpi-") as folder:
        copy = os.path.join(folder, os.path.basename(inside) or "file")
        try:
            files.get_file(inside, copy)
        except Exception as error:
            # What a store's own client raises is anything: of this file it says that it cannot be had.
            raise TargetError(f"{path} cannot be fetched: {_said(error)}") from None
        yield copy


def _is_url(word: str) -> bool:
    return "://" in word


def _local(word: str) -> Iterator[Evidence]:
    by_name = not WILD & set(word) or os.path.lexists(word)
    for name in [word] if by_name else sorted(glob.glob(word, recursive=True)):
        # `**` goes through links to folders, which nobody has named.
        root = None if by_name or "**" not in word else os.path.realpath(_begins(word))
        if root and os.path.commonpath([root, os.path.realpath(os.path.dirname(name))]) != root:
            continue
        if os.path.isdir(name) and not (root and _leads_out(name, root)):
            yield from filter(None, map(_of_file, _within(name)))
        elif named := _of_file(name):
            yield named


def _begins(pattern: str) -> str:
    """The folder in which a glob begins."""
    parts = itertools.takewhile(lambda part: not WILD & set(part), pattern.split(os.sep))
    return os.path.join(os.sep if pattern.startswith(os.sep) else ".", *parts)


def _within(folder: str) -> Iterator[str]:
    closed: list[str] = []
    inside = os.path.realpath(folder)
    for place, folders, names in os.walk(folder, onerror=lambda error: closed.append(error.filename)):
        folders.sort()
        links = [name for name in folders if _leads_out(os.path.join(place, name), inside)]
        yield from (os.path.join(place, name) for name in sorted([*names, *links]))
    yield from closed


def _leads_out(path: str, folder: str) -> bool:
    """Whether it is a link to another folder: nobody knows how much is there."""
    return os.path.islink(path) and os.path.commonpath([folder, os.path.realpath(path)]) != folder


def _of_file(path: str) -> Evidence | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Evidence(path, None, "") if os.path.lexists(path) else None
    return Evidence(path, status.st_size, str(status.st_mtime_ns))


def _remote(url: str) -> Iterator[Evidence]:
    files, inside = _file_system(url)
    try:
        if WILD & set(inside):
            names = files.glob(inside)
        elif files.isdir(inside):
            names = files.find(inside)
        else:
            names = [inside]
        for name in sorted(names):
            if files.isfile(name):
                yield _of_info(files.unstrip_protocol(name), files.info(name))
    except Exception as error:
        raise TargetError(f"{url} cannot be listed: {_said(error)}") from None


def _of_info(path: str, about: dict[str, object]) -> Evidence:
    size = about.get("size")
    known = (about.get(key) for key in ("ETag", "etag", "md5Hash", "mtime", "modified", "LastModified", "created"))
    changed = next((each for each in known if each is not None), "")
    return Evidence(path, size if isinstance(size, int) else None, str(changed))


def _file_system(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(f"{url}: URLs need fsspec: `pip install 'vtdpi[cluster]'`") from None
    try:
        files, inside = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(f"{url} is no URL that can be read here: {_said(error)}") from None
    return files, inside


def _said(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
