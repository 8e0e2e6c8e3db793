"""Xen's own lines in a log, whatever stands before, between and after them.

A line of Xen's begins with the mark `(XEN)`, wherever in a line that is: prefixes of loggers and quotes come before it,
and a CPU may begin its line where another's has not ended. In a text without any mark, every line is taken as Xen's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

MARK = b"(XEN)"

STAMP = re.compile(
    rb"\[(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|\s*\d+\.\d{6}|[0-9a-f]{16})\] ?",
)
"""What `console_timestamps=` puts after the mark: date, datems, boot, raw."""

PREFIX = re.compile(
    rb"(?:[>|]\s?)*"
    rb"(?:\[(?!VT-D)[^\]\n]{4,40}\] ?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ (?:\S+: ?)?|"
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* (?:\S+ )?(?:\S+: ?)?)?"
)
"""What loggers put before a line that has no mark: quotes, `[time]`, syslog's and journald's date, host and program."""

TIME = re.compile(
    rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^\s\]]*|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: \d{4})?|\d\d:\d\d:\d\d"
)
NOISE = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]+")
"""Terminal control: ANSI sequences, NULs, backspaces, carriage returns."""


INSERTED = "["
"""With this the texts of others begin that stand within a line of Xen's: Linux's timestamps, daemons' numbers."""


class Line(NamedTuple):
    """A line of Xen's.

    Attributes:
        number: of the line in the file, from 1.
        text: what Xen printed, less mark, timestamp and trailing blanks.
        time: when, as the log has it; Xen's own timestamp before a logger's. Empty if it has none.
        after: of a line that another's text may have cut, the line that follows, if it is not Xen's: its rest.
        ended: whether the line's end is there; False for a last line that the file cuts off.
    """

    number: int
    text: str
    time: str = ""
    after: str = ""
    ended: bool = True


def lines(chunks: Iterable[bytes], wanted: Callable[[str], object]) -> Iterator[Line]:
    """Xen's lines for which `wanted(text)` is true. `chunks` are pieces of the file, each of whole lines.

    The lines between are never looked at one by one: a log may be large, and nearly all of it somebody else's.
    """
    number = 1
    held: list[tuple[Line, bool]] = []
    for chunk in chunks:
        yield from (line._replace(after=_after(chunk, 0)) if cut else line for line, cut in held)
        held = []
        start = counted = 0
        while (at := chunk.find(MARK, start)) >= 0:
            number += chunk.count(b"\n", counted, at)
            counted = at
            end = chunk.find(b"\n", at)
            ended, end = end >= 0, end if end >= 0 else len(chunk)
            again = chunk.find(MARK, at + len(MARK), end)
            start = again if again >= 0 else end
            text, time = _text(chunk[at + len(MARK) : start])
            if wanted(text):
                head = chunk[chunk.rfind(b"\n", 0, at) + 1 : at]
                line = Line(number, text, time or _time(head), "", ended or again >= 0)
                cut = again >= 0 or INSERTED in text
                if held or (cut and end + 1 >= len(chunk)):
                    held.append((line, cut))
                else:
                    yield line._replace(after=_after(chunk, end + 1)) if cut else line
        number += chunk.count(b"\n", counted)
    yield from (line for line, _ in held)


def unmarked(chunks: Iterable[bytes], wanted: Callable[[str], object]) -> Iterator[Line]:
    """As `lines`, of a text without marks: every line for which `wanted(text)` is true."""
    number = 1
    for chunk in chunks:
        for raw in chunk.splitlines(keepends=True):
            match = PREFIX.match(raw)
            cut = match.end() if match else 0
            text, time = _text(raw[cut:])
            if wanted(text):
                yield Line(number, text, time or _time(raw[:cut]), "", raw.endswith(b"\n"))
            number += 1


def _text(raw: bytes) -> tuple[str, str]:
    """What Xen printed, and its timestamp."""
    raw = NOISE.sub(b"", raw)
    if raw.startswith(b" "):
        raw = raw[1:]
    time = ""
    if raw.startswith(b"[") and (stamp := STAMP.match(raw)):
        time, raw = stamp[0].strip(b"[] ").decode("ascii"), raw[stamp.end() :]
    return raw.rstrip().decode("utf-8", "replace"), time


def _time(head: bytes) -> str:
    found = TIME.search(head)
    return found[0].decode("ascii") if found else ""


def _after(chunk: bytes, start: int) -> str:
    """The line that begins at `start`, if it is not Xen's."""
    end = chunk.find(b"\n", start)
    line = chunk[start : end if end >= 0 else len(chunk)]
    return "" if MARK in line else NOISE.sub(b"", line).rstrip().decode("utf-8", "replace")
