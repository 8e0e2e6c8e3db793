"""Xen's lines among others, with every prefix that was met."""

from __future__ import annotations

import pytest

from inspector.targets.recorded.console.lines import Line, lines, unmarked

ROW = "R:  0018:  1   0  0300 62    0   0 00010004   1  0  1  1 1"


def every(text: str) -> bool:
    """All lines are wanted."""
    return True


@pytest.mark.parametrize(
    ("prefix", "time"),
    [
        (b"(XEN) ", ""),
        (b"(XEN) [2026-11-22 12:00:01] ", "2026-11-22 12:00:01"),
        (b"(XEN) [2026-11-22 12:00:01.123] ", "2026-11-22 12:00:01.123"),
        (b"(XEN) [   12.345678] ", "12.345678"),
        (b"(XEN) [0000012345abcdef] ", "0000012345abcdef"),
        (b"[2026-11-22 12:00:01] (XEN) ", "2026-11-22 12:00:01"),
        (b"Nov 22 12:00:01 host xen[123]: (XEN) ", "Nov 22 12:00:01"),
        (b"Nov 22 12:00:01 host xen[123]: (XEN) [   12.345678] ", "12.345678"),
        (b"2026-11-22T12:00:01.123456+00:00 host hypervisor: (XEN) ", "2026-11-22T12:00:01.123456+00:00"),
        (b"[Sun Nov 22 12:00:01 2026](XEN) ", "Nov 22 12:00:01 2026"),
        (b"> >> (XEN) ", ""),
        (b"\x1b[32m(XEN)\x1b[0m ", ""),
        (b"\0\0\b\b/\b(XEN) ", ""),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\x1b[0m\r\n"])
def test_prefixes_and_line_ends(prefix: bytes, time: str, end: bytes) -> None:
    (found,) = lines([prefix + ROW.encode() + end], every)
    assert (found.text, found.time) == (ROW, time)


def test_two_marks_in_one_line_are_two_lines() -> None:
    text = f"(XEN) APIC error on CPU3: 00(08)(XEN) {ROW}\n".encode()
    assert [(line.number, line.text) for line in lines([text], every)] == [(1, "APIC error on CPU3: 00(08)"), (1, ROW)]


@pytest.mark.parametrize("cut", range(1, 60))
def test_what_follows_a_cut_line_may_be_in_the_next_piece(cut: int) -> None:
    """Pieces are of whole lines: whatever line one ends with."""
    text = b"(XEN) a[ 1.000000] x\nmore\n(XEN) APIC error(XEN) b\nrest\n(XEN) c\n"
    at = text.find(b"\n", cut) + 1
    pieces = [text[:at], text[at:]] if text[at:] else [text]
    assert list(lines(pieces, every)) == [
        Line(1, "a[ 1.000000] x", "", "more"),
        Line(3, "APIC error", "", "rest"),
        Line(3, "b", "", ""),
        Line(5, "c", "", ""),
    ]


def test_numbers_what_follows_and_the_missing_end() -> None:
    chunks = [b"dom0\n(XEN) a[ 1.000000] x\nmore\n", b"(XEN) b\n(XEN) c"]
    assert list(lines(chunks, every)) == [
        Line(2, "a[ 1.000000] x", "", "more"),
        Line(4, "b", "", ""),
        Line(5, "c", "", "", ended=False),
    ]
    assert [line.text for line in lines(chunks, lambda text: text == "b")] == ["b"]


@pytest.mark.parametrize(
    "prefix",
    [b"", b"> > ", b"Nov 22 12:00:01 host kernel: ", b"[2026-11-22 12:00:01] ", b"2026-11-22T12:00:01+00:00 h x: "],
)
def test_a_text_without_marks(prefix: bytes) -> None:
    (found,) = unmarked([prefix + ROW.encode() + b"\n"], every)
    assert found.text == ROW
    (found,) = unmarked([prefix + b"[VT-D]INTR-REMAP: reason 22 - x\n"], every)
    assert found.text == "[VT-D]INTR-REMAP: reason 22 - x"
