"""Where a log's bytes come from: a file, a compressed one, or an archive that holds several.

`xen-bugtool` and XCP-ng make tar and zip archives, with archives in them; the logs inside are found by what is in
them, never by name.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Protocol

from inspector.base.errors import TargetError
from inspector.targets.recorded.console.decoding import utf16

FIRST_CHUNK = 1 << 20
"""What tells how a text is encoded."""
CHUNK = 128 << 10
"""Of the rest: small enough to stay in a processor's cache while it is searched."""
HEAD = 64 << 10
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip archive begins; the second one is empty."""
UNPACKED_LIMIT = 4 << 30
"""Bytes that are read of a compressed file: no log is larger, and a few kilobytes can be made to unpack to more."""

TEXT = bytes((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\a\b\t\n\v\f\r\x1b"))
ODD_BYTES = 0.01
"""How much of a text may be none."""

MEMBERS_LIMIT = 100_000
DEPTH_LIMIT = 3
"""Of archives within archives."""


class Decompressor(Protocol):
    """What zlib, lzma, bz2 and zstd have in common."""

    @property
    def eof(self) -> bool:
        """Whether what it decompresses has ended."""

    @property
    def unused_data(self) -> bytes:
        """What follows that end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The next part."""


def _gzip() -> Decompressor:
    return zlib.decompressobj(wbits=31)


def _xz() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor()


def _bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _zstd() -> Decompressor:
    from backports import zstd

    return zstd.ZstdDecompressor()


COMPRESSIONS: Mapping[bytes, Callable[[], Decompressor]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\x00": _xz,
    b"BZh": _bzip2,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""By how a compressed file begins: what decompresses it."""


class Reader(Protocol):
    """What reads a stream to where it is damaged."""

    error: str


class Unpacked(io.RawIOBase):
    """A compressed file's content. Where the file is damaged or cut the content ends, and `error` says why: what was
    there before is not lost, as it is with the readers of the standard library."""

    def __init__(self, file: IO[bytes], new: Callable[[], Decompressor]) -> None:
        self.error = ""
        self._file = file
        self._new = new
        self._part = new()
        self._ready = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As RawIOBase."""
        while not self._ready and not self.error:
            rest = self._part.unused_data if self._part.eof else b""
            raw = rest or self._file.read(HEAD)
            if not raw:
                self.error = "" if self._part.eof else "it ends in the middle"
                break
            if self._part.eof:
                self._part = self._new()
            try:
                self._ready = self._part.decompress(raw)
            except Exception as error:  # each library has its own, and all mean the same
                self.error = str(error)
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


class ZipMember(io.RawIOBase):
    """A file in a zip archive. Where it is damaged it ends, and `error` says why."""

    def __init__(self, file: IO[bytes]) -> None:
        self.error = ""
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As RawIOBase."""
        if self.error:
            return 0
        try:
            part = self._file.read(len(buffer))
        except Exception as error:  # zipfile, zlib, bz2 and lzma have their own, and all mean the same
            self.error, part = str(error), b""
        buffer[: len(part)] = part
        return len(part)


def unpacked(file: IO[bytes], *readers: Reader) -> tuple[IO[bytes], Sequence[Reader]]:
    """What is in a file, uncompressed if it is compressed, however often; and what uncompresses it, after `readers`."""
    stream, used = _peekable(file), list(readers)
    for _ in range(3):
        head = _peek(stream, 8)
        new = next((new for magic, new in COMPRESSIONS.items() if head.startswith(magic)), None)
        if new is None:
            break
        part = Unpacked(stream, new)
        used.append(part)
        stream = io.BufferedReader(part, HEAD)
    return stream, used


def is_text(sample: bytes) -> bool:
    """Whether a file that begins so is a text, perhaps one with terminal control, or what firmware leaves, in it."""
    if utf16(sample):
        return True
    rest = sample.translate(None, b"\0")
    if len(rest) * 16 < len(sample) and b"\n" not in rest:
        return False  # memory that is almost all zeros, such as the first pages of a raw image
    return bool(rest) and len(rest.translate(None, TEXT)) <= len(rest) * ODD_BYTES


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins so is compressed in a way that is known here."""
    return head.startswith(tuple(COMPRESSIONS))


def is_tar(head: bytes) -> bool:
    """Whether a file that begins so is a tar archive."""
    return head[TAR_MAGIC_AT : TAR_MAGIC_AT + len(TAR_MAGIC)] == TAR_MAGIC


def is_zip(head: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return head.startswith(ZIP_MAGIC)


@dataclass
class Text:
    """A text that a file holds: the name that messages give it, and what went wrong while it was read."""

    name: str
    stream: IO[bytes]
    used: Sequence[Reader] = ()
    problem: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is one; nothing of it is read for good."""
        return is_text(_peek(self.stream, HEAD))

    def chunks(self, tell: Callable[[int], None] = lambda count: None) -> Iterator[bytes]:
        """The text in pieces of whole lines; `tell` is called with how many bytes have been read. Where a compressed
        file is damaged the text ends, and `problem` says so."""
        rest, count = b"", 0
        while piece := self.stream.read(CHUNK if count else FIRST_CHUNK):
            count += len(piece)
            tell(count)
            end = piece.rfind(b"\n") + 1
            if not end and len(rest) < CHUNK:
                rest += piece
                continue
            yield rest + piece[:end] if end else rest + piece
            rest = piece[end:] if end else b""
            if count > UNPACKED_LIMIT:
                self.problem = f"{self.name} is more than {UNPACKED_LIMIT >> 30} GiB of text: the rest is not read"
                return
        if error := next((each.error for each in self.used if each.error), ""):
            self.problem = f"{self.name} is damaged after {count} bytes of its text, and ends there: {error}"
        if rest:
            yield rest


def texts(path: str, name: str | None = None) -> Iterator[Text]:
    """Each text that the file holds: itself, or an archive's members. Each is read before the next is asked for. `name`
    is what messages call the file.

    Raises:
        TargetError: it cannot be read, or its beginning is damaged.
    """
    name = name or path
    try:
        with open(path, "rb") as file:
            stream, used = unpacked(file)
            head = _peek(stream, 512)
            if not head and (error := next((each.error for each in used if each.error), "")):
                raise TargetError(f"{name} cannot be read: {error}")
            yield from _inside(name, stream, used, 0)
    except OSError as error:
        raise TargetError(f"{name} cannot be read: {error.strerror or error}") from None


def _inside(name: str, stream: IO[bytes], used: Sequence[Reader], depth: int) -> Iterator[Text]:
    """The text, or those in the archive that it is."""
    head = _peek(stream, 512)
    if depth < DEPTH_LIMIT and is_tar(head):
        yield from _tar_members(name, stream, depth)
    elif depth == 0 and not used and is_zip(head):
        yield from _zip_members(name, stream)
    else:
        yield Text(name, stream, used)


def _tar_members(name: str, stream: IO[bytes], depth: int) -> Iterator[Text]:
    """The texts in a tar archive, up to where it is damaged."""
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for count, member in enumerate(archive):
                if count >= MEMBERS_LIMIT:
                    raise TargetError(f"{name} has more than {MEMBERS_LIMIT} members")
                if member.isfile() and (content := archive.extractfile(member)):
                    yield from _inside(f"{name}:{member.name}", *unpacked(content), depth + 1)
    except (tarfile.TarError, EOFError, ValueError) as error:
        yield _damaged(name, error)


def _zip_members(name: str, stream: IO[bytes]) -> Iterator[Text]:
    """The texts in a zip archive. What is in it stands at its end: of one that is cut nothing can be read."""
    import zipfile

    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_LIMIT:
                raise TargetError(f"{name} has more than {MEMBERS_LIMIT} members")
            for member in members:
                place = f"{name}:{member.filename}"
                try:
                    content = None if member.is_dir() else ZipMember(archive.open(member))
                except (zipfile.BadZipFile, RuntimeError) as error:  # of one that is encrypted, or packed in a new way
                    yield _damaged(place, error)
                    continue
                if content:
                    yield from _inside(place, *unpacked(io.BufferedReader(content, HEAD), content), 1)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        yield _damaged(name, error)


def _damaged(name: str, error: Exception) -> Text:
    return Text(name, io.BytesIO(), (), f"{name} is damaged, and ends there: {error}")


def _peekable(file: IO[bytes]) -> io.BufferedReader:
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(file, HEAD)  # type: ignore[arg-type]


def _peek(file: IO[bytes], size: int) -> bytes:
    return file.peek(size)[:size] if isinstance(file, io.BufferedReader) else b""
