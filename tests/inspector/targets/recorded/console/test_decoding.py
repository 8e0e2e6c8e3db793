"""Texts as mail, browsers and PowerShell leave them."""

from __future__ import annotations

import html
import quopri

import pytest

from inspector.targets.recorded.console.decoding import decoded, utf16

TEXT = (
    "(XEN)  MSI     25 vec=62 lowest  edge   assert  log lowest dest=00000001 mask=1/  /?\n"
    "(XEN) 0000:03:00.0 - d1 - node -1  - MSIs < 25 26 >\n"
    "(XEN)    0xf2 -> pi_notification_interrupt()\n"
    "(XEN)     VCPU0: CPU0 [has=T] poll=0 upcall_pend=00 upcall_mask=00 dirty_cpu=3\n"
) * 20


def read(raw: bytes, size: int = 1 << 20) -> str:
    """The text of pieces of whole lines of about `size` bytes."""
    pieces, rest = [], raw
    while rest:
        end = rest.find(b"\n", size) + 1 or len(rest)
        pieces.append(rest[:end])
        rest = rest[end:]
    return b"".join(decoded(pieces)).decode()


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
class TestEveryEncoding:
    """In one piece and in many."""

    def test_plain(self, size: int) -> None:
        assert read(TEXT.encode(), size) == TEXT

    def test_quoted_printable(self, size: int) -> None:
        if size > 1:  # what a text is encoded with is told by its first piece
            assert read(quopri.encodestring(TEXT.encode()), size) == TEXT

    def test_html(self, size: int) -> None:
        if size > 1:
            assert read(b"<p>" + html.escape(TEXT[:-1]).encode() + b"</p>", size) == TEXT

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_utf16(self, size: int, encoding: str) -> None:
        if size > 1:
            assert read(TEXT.encode(encoding), size) == TEXT


def test_a_log_with_equals_signs_and_hex_is_not_quoted_printable() -> None:
    text = "(XEN) x=3D y=20 vec=62 mask=1 dest=0 has=T poll=0 cpu=no\n"
    assert read(text.encode()) == text


def test_line_breaks_of_html() -> None:
    assert read(b"<p>(XEN) a &lt;<br>(XEN) b &gt;</p>").split("\n")[:2] == ["(XEN) a <", "(XEN) b >"]


def test_what_is_utf16() -> None:
    assert utf16("(XEN) hello".encode("utf-16-le")) == "utf-16-le"
    assert utf16(b"(XEN) hello") is utf16(b"") is utf16(bytes(64)) is None
