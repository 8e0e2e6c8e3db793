"""A text as mail programs, browsers and shells leave it, back to what the console printed.

UTF-16 (PowerShell's `>`), quoted-printable (mail), HTML entities and line breaks (web archives).
"""

from __future__ import annotations

import codecs
import html
import quopri
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
QUOTED = re.compile(rb"=(?:3D|20)")
PLAIN_EQUALS = re.compile(rb"=(?![0-9A-F]{2}|\r?\n)")
ENTITIES = re.compile(rb"&(?:lt|gt|amp|nbsp|quot|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
TAGS = re.compile(rb"</?[a-zA-Z][^<>\n]{0,200}>")
BREAKS = re.compile(rb"<(?:br ?/?|/p|/div|/tr|/pre)>(?!\r?\n)", re.IGNORECASE)
SAMPLE = 1 << 20


def decoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a text (of whole lines), decoded. What it is encoded with is told by its first piece."""
    pieces: Iterator[bytes] = iter(chunks)
    first = next(pieces, b"")
    pieces = chain((first,), pieces)
    if encoding := utf16(first):
        pieces = _whole_lines(_from_utf16(pieces, encoding))
        first = next(pieces, b"")
        pieces = chain((first,), pieces)
    sample = first[:SAMPLE]
    if _is_quoted_printable(sample):
        pieces = _each(pieces, quopri.decodestring)
        sample = quopri.decodestring(sample)
    if ENTITIES.search(sample) and (b"&gt;" in sample or b"&lt;" in sample or TAGS.search(sample)):
        pieces = _each(pieces, _from_html)
    return pieces


def utf16(head: bytes) -> str | None:
    """Which UTF-16 a text is that begins so; None if it is none."""
    for mark, encoding in UTF16.items():
        if head.startswith(mark):
            return encoding
    sample = head[:4096]
    if len(sample) < 4:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > 0.7 * len(sample) / 2 and even < 0.1 * len(sample) / 2:
        return "utf-16-le"
    if even > 0.7 * len(sample) / 2 and odd < 0.1 * len(sample) / 2:
        return "utf-16-be"
    return None


def _from_utf16(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).lstrip("\ufeff").encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end]
            rest = piece[end:]
        else:
            rest += piece
    if rest:
        yield rest


def _is_quoted_printable(sample: bytes) -> bool:
    """Whether `=` mostly begins an escape: a plain text has many that do not."""
    escapes = len(QUOTED.findall(sample)) + sample.count(b"=\n") + sample.count(b"=\r\n")
    return escapes > 0 and QUOTED.search(sample) is not None and escapes > len(PLAIN_EQUALS.findall(sample))


def _each(pieces: Iterable[bytes], change: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Each piece changed. One that ends in a soft line break takes the next along."""
    held = b""
    for piece in pieces:
        held += piece
        if held.endswith((b"=\n", b"=\r\n")):
            continue
        yield change(held)
        held = b""
    if held:
        yield change(held)


def _from_html(piece: bytes) -> bytes:
    piece = TAGS.sub(b"", BREAKS.sub(b"\n", piece))
    return (
        html.unescape(piece.decode("utf-8", "surrogateescape")).replace("\xa0", " ").encode("utf-8", "surrogateescape")
    )
