"""Where a log's bytes come from: a file, a compressed one, or an archive that holds several.

`xen-bugtool` and XCP-ng make tar archives; the logs inside are found by what is in them, never by name.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

from inspector.base.errors import TargetError
from inspector.targets.recorded.console.decoding import utf16

CHUNK = 1 << 20
HEAD = 64 << 10
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
UNPACKED_LIMIT = 4 << 30
"""Bytes that are read of a compressed file: no log is larger, and a few kilobytes can be made to unpack to more."""

TEXT = bytes((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\a\b\t\n\v\f\r\x1b"))
ODD_BYTES = 0.01
"""How much of a text may be none."""

MEMBERS_LIMIT = 100_000


def _gzip(file: BinaryIO) -> IO[bytes]:
    import gzip

    return cast(IO[bytes], gzip.open(file))


def _xz(file: BinaryIO) -> IO[bytes]:
    import lzma

    return lzma.open(file)


def _bzip2(file: BinaryIO) -> IO[bytes]:
    import bz2

    return bz2.open(file)


def _zstd(file: BinaryIO) -> IO[bytes]:
    return io.BufferedReader(_Zstd(file))


class _Zstd(io.RawIOBase):
    """Frames of zstd, one after another. Raises EOFError in the middle of one, as the others do: zstandard's own reader
    ends there without a word."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            rest = self._frame.unused_data if self._frame.eof else b""
            raw = rest or self._file.read(HEAD)
            if self._frame.eof and raw:
                self._frame = self._new()
            if not raw:
                if self._frame.eof:
                    return 0
                raise EOFError("the file ends in the middle of a zstd frame")
            self._ready = self._frame.decompress(raw)
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


COMPRESSIONS: dict[bytes, Callable[[BinaryIO], IO[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\x00": _xz,
    b"BZh": _bzip2,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""By how a compressed file begins: what reads it."""


def unpacked(file: BinaryIO) -> IO[bytes]:
    """What is in a file, uncompressed if it is compressed, however often."""
    stream: IO[bytes] = file
    for _ in range(3):
        head = _peek(stream, 8)
        opener = next((opener for magic, opener in COMPRESSIONS.items() if head.startswith(magic)), None)
        if opener is None:
            break
        stream = _peekable(opener(stream))  # type: ignore[arg-type]
    return stream


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


@dataclass
class Text:
    """A text that a file holds: the name that messages give it, and what went wrong while it was read."""

    name: str
    stream: IO[bytes]
    problem: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is one; nothing of it is read for good."""
        try:
            return is_text(_peek(self.stream, HEAD))
        except _damages() as error:
            self.problem = f"{self.name} is damaged: {error}"
            return False

    def chunks(self, tell: Callable[[int], None] = lambda count: None) -> Iterator[bytes]:
        """The text in pieces of whole lines; `tell` is called with how many bytes have been read. Where a compressed
        file is damaged the text ends, and `problem` says so."""
        rest, count = b"", 0
        while piece := self._read(count):
            count += len(piece)
            tell(count)
            end = piece.rfind(b"\n") + 1
            if not end and len(rest) < CHUNK:
                rest += piece
                continue
            yield rest + piece[:end] if end else rest + piece
            rest = piece[end:] if end else b""
        if rest:
            yield rest

    def _read(self, count: int) -> bytes:
        if count > UNPACKED_LIMIT:
            self.problem = f"{self.name} is more than {UNPACKED_LIMIT >> 30} GiB of text: the rest is not read"
            return b""
        try:
            return self.stream.read(CHUNK)
        except _damages() as error:
            self.problem = f"{self.name} is damaged after {count} bytes of its text, and ends there: {error}"
            return b""


def texts(path: str, name: str | None = None) -> Iterator[Text]:
    """Each text that the file holds: itself, or an archive's members. Each is read before the next is asked for. `name`
    is what messages call the file.

    Raises:
        TargetError: it cannot be read, or its beginning is damaged.
    """
    name = name or path
    try:
        with open(path, "rb") as file:
            stream = unpacked(_peekable(file))
            if not is_tar(_peek(stream, 512)):
                yield Text(name, stream)
                return
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for count, member in enumerate(archive):
                    if count >= MEMBERS_LIMIT:
                        raise TargetError(f"{name} has more than {MEMBERS_LIMIT} members")
                    if member.isfile() and (content := archive.extractfile(member)):
                        yield _member(f"{name}:{member.name}", content)
    except _damages() as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise TargetError(f"{name} cannot be read: {reason}") from None


def _member(name: str, content: IO[bytes]) -> Text:
    try:
        return Text(name, unpacked(_peekable(content)))
    except _damages() as error:
        return Text(name, io.BytesIO(), f"{name} is damaged: {error}")


def _damages() -> tuple[type[BaseException], ...]:
    """What the decompressors raise for a damaged file; only those that were needed are asked."""
    found: list[type[BaseException]] = [OSError, EOFError, ValueError, zlib.error, tarfile.TarError]
    for module, error in (("lzma", "LZMAError"), ("zstandard", "ZstdError")):
        if module in sys.modules:
            found.append(getattr(sys.modules[module], error))
    return tuple(found)


def _peekable(file: IO[bytes]) -> io.BufferedReader:
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(file, HEAD)  # type: ignore[arg-type]


def _peek(file: IO[bytes], size: int) -> bytes:
    return file.peek(size)[:size] if isinstance(file, io.BufferedReader) else b""
