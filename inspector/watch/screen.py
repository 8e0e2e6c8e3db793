"""The live table on a terminal's whole screen."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from inspector.analysis.situation import short_situation
from inspector.audit import BUG, Finding
from inspector.base import signals
from inspector.base.errors import VtdpiError
from inspector.base.foreign_text import one_line
from inspector.model.answer import Table
from inspector.views.fit import Column, fit
from inspector.watch.looks import COLUMNS, Looks, Row, Seen

BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
SLOWEST, FASTEST = 60.0, 0.05
LOG = 4
KEYS = "q quit  space one look  c go on  arrows scroll  +/- speed"
STEP = 8
"""Columns that an arrow key scrolls."""
ACTIVITY = "PIR ACTIVITY"
HEADS = (*COLUMNS, "FINDINGS", ACTIVITY)
SPARE = (ACTIVITY, "NDST", "NV", "CPU", "SN", "STATE")
"""What is left out where there is not room for all, in this order; the arrow keys bring it."""
STYLE = Style.from_dict(
    {
        "head": "bold",
        "changed": "bold ansiyellow",
        "bug": "bold ansired",
        "warning": "ansiyellow",
        "bar": "reverse",
        "activity": "ansicyan",
    }
)


@contextmanager
def _left_as_found() -> Iterator[None]:
    """Put the terminal's modes back: a signal that raises in the event loop can end it before it has done so itself."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        yield
    finally:
        with signals.held():
            termios.tcsetattr(terminal, termios.TCSANOW, before)


class Screen:
    """The screen, until the user leaves it.

    Args:
        looks: where the looks come from.
        title: of the machine.
        interval: seconds between two looks.
        count: how many looks to take before leaving; 0 for no end.
    """

    def __init__(self, looks: Looks, title: str, interval: float, count: int) -> None:
        self._looks = looks
        self._title = title
        self._interval = interval
        self._count = count
        self._paused = False
        self._wanted = asyncio.Event()
        self._top = 0
        self._left = 0
        self._seen: Seen | None = None
        self._log: deque[tuple[int, Finding]] = deque(maxlen=LOG)
        self._error: VtdpiError | None = None
        plain = bool(os.environ.get("NO_COLOR"))
        self._app: Application[None] = Application(
            layout=Layout(
                HSplit(
                    [
                        Window(FormattedTextControl(self._bar), height=1, style="class:bar"),
                        Window(FormattedTextControl(self._table), wrap_lines=False),
                        Window(FormattedTextControl(self._rest), dont_extend_height=True),
                        Window(FormattedTextControl(KEYS), height=1, style="class:bar"),
                    ]
                )
            ),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            color_depth=ColorDepth.DEPTH_1_BIT if plain else None,
        )

    def run(self) -> Seen | None:
        """Show it; the last look. Raises VtdpiError if the machine was lost."""
        with _left_as_found():
            self._app.run(pre_run=self._begin)
        if self._error:
            raise self._error
        return self._seen

    def _begin(self) -> None:
        self._app.create_background_task(self._follow())

    async def _follow(self) -> None:
        """Take looks and show them. A look is taken in this thread: nothing else is to be done meanwhile."""
        try:
            while not self._count or not self._seen or self._seen.number < self._count:
                self._seen = self._looks.take(self._run_for)
                self._log.extend((self._seen.number, finding) for finding in self._seen.fresh)
                if self._paused:
                    self._looks.pause()
                self._app.invalidate()
                self._wanted.clear()
                try:
                    await asyncio.wait_for(self._wanted.wait(), None if self._paused else self._interval)
                except TimeoutError:
                    if self._paused:
                        # It was paused while it waited for the next look: that one is not taken.
                        await self._wanted.wait()
        except VtdpiError as error:
            self._error = error
        self._app.exit()

    def _run_for(self) -> None:
        """A live machine that the user lets run from look to look runs for an interval each time."""
        if self._paused and self._looks.live:
            time.sleep(self._interval)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("q")
        @keys.add("c-c")
        @keys.add("c-d")
        @keys.add("<sigint>")
        def _(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add(" ")
        def _(event: KeyPressEvent) -> None:
            if self._paused:
                self._wanted.set()
            else:
                self._paused = True
                self._looks.pause()

        @keys.add("c")
        def _(event: KeyPressEvent) -> None:
            self._paused = False
            self._wanted.set()

        @keys.add("+")
        def _(event: KeyPressEvent) -> None:
            self._interval = max(self._interval / 2, FASTEST)

        @keys.add("-")
        def _(event: KeyPressEvent) -> None:
            self._interval = min(self._interval * 2, SLOWEST)

        for key, aside in (("right", STEP), ("left", -STEP)):

            @keys.add(key)
            def _(event: KeyPressEvent, aside: int = aside) -> None:
                self._left = max(0, self._left + aside)

        for key, by in (("down", 1), ("up", -1), ("pagedown", 10), ("pageup", -10)):

            @keys.add(key)
            def _(event: KeyPressEvent, by: int = by) -> None:
                rows = len(self._seen.rows) if self._seen else 0
                self._top = max(0, min(self._top + by, rows - 1))

        return keys

    def _bar(self) -> str:
        seen = self._seen
        if seen is None:
            return f" {one_line(self._title)}"
        how = "paused: space looks once" if self._paused else f"every {self._interval:g} s"
        stopped = "" if seen.stopped is None else f"  guest stopped {seen.stopped * 1000:.1f} ms"
        doubt = f", {seen.suspicions} not confirmed" if seen.suspicions else ""
        return f" look {seen.number}, {how}{stopped}  {len(seen.findings)} findings{doubt}  {one_line(self._title)}"

    def _table(self) -> StyleAndTextTuples:
        if self._seen is None:
            return []
        size = self._app.output.get_size()
        rows = self._seen.rows[self._top : self._top + size.rows]
        table = _as_table(rows)
        fitted = fit(table, size.columns)
        if self._left or fitted.records:
            # All columns, with the vCPU's name in its place, scrolled sideways.
            first, *others = fit(table, size.columns, sideways=True).columns
            lines = [_aside(cells, others, self._left) for cells in zip(*(c.cells for c in others), strict=True)]
            head = _aside([column.head for column in others], others, self._left)
            text: StyleAndTextTuples = [("class:head", f"{first.head:{first.width}}{head}\n")]
            for name, line in zip(first.cells, lines, strict=True):
                text.append(("", f"{name:{first.width}}{line}\n"))
            return text
        heads = "".join(f"{column.head:{column.width}} " for column in fitted.columns).rstrip()
        text = [("class:head", f"{heads}\n")]
        for row, cells in zip(rows, zip(*(column.cells for column in fitted.columns), strict=True), strict=True):
            text += _line(row, fitted.columns, cells)
        return text

    def _rest(self) -> StyleAndTextTuples:
        """The lists that are not empty, and the findings as they came."""
        if self._seen is None:
            return []
        text: StyleAndTextTuples = [("class:head", "LISTS OF BLOCKED VCPUS\n")]
        filled = [(line, is_new) for line, is_new in self._seen.lists if is_new or not line.endswith(": empty")]
        most = max(2, self._app.output.get_size().rows // 4)
        for line, is_new in filled[:most]:
            text.append(("class:changed" if is_new else "", f"{'*' if is_new else ' '}{one_line(line)}\n"))
        if len(filled) > most:
            text.append(("", f" and {len(filled) - most} more\n"))
        text.append(("class:head", "FINDINGS AS THEY CAME"))
        for number, finding in self._log:
            style = "class:bug" if finding.severity == BUG else "class:warning"
            said = one_line(f"{finding.severity} {finding.rule} {finding.subject} {finding.message}")
            text.append((style, f"\n look {number}: {said}"))
        return text


def _as_table(rows: Sequence[Row]) -> Table:
    """The rows; a changed cell has a star."""
    cells = [
        (
            *(f"{'*' if is_new else ' '}{cell}" for cell, is_new in zip(row.cells, row.changed, strict=True)),
            ", ".join(row.findings),
            "".join(BARS[min(value, len(BARS) - 1)] if value else " " for value in row.activity),
        )
        for row in rows
    ]
    at = {name: number for number, name in enumerate(HEADS)}
    short = {
        "SITUATION": [each[at["SITUATION"]][:1] + short_situation(each[at["SITUATION"]][1:]) for each in cells],
        "NV": [each[at["NV"]].partition(" ")[0] for each in cells],
        "PIR": [_first(each[at["PIR"]]) for each in cells],
    }
    heads = [f" {name}" if name in COLUMNS else name for name in HEADS]
    renamed = dict(zip(HEADS, heads, strict=True))
    named = {renamed[name]: column for name, column in short.items()}
    return Table(heads, cells, short=named, spare=[renamed[name] for name in SPARE])


def _first(vectors: str) -> str:
    """The first of several vectors, and how many more there are: `0x31 +3`."""
    mark, words = vectors[:1], vectors[1:].split()
    more = sum(int(word) if word.startswith("+") else 1 for word in words[1:])
    return f"{mark}{words[0]} +{more}" if more else vectors


def _aside(cells: Sequence[str], columns: Sequence[Column], left: int) -> str:
    return " ".join(f"{cell:{column.width}}" for cell, column in zip(cells, columns, strict=True))[left:].rstrip()


def _line(row: Row, columns: Sequence[Column], cells: Sequence[str]) -> StyleAndTextTuples:
    """A vCPU's lines: a changed cell has a colour as well as its star, and findings those of their severity."""
    pieces: StyleAndTextTuples = []
    severity = "class:bug" if any(BUG in said for said in row.findings) else "class:warning"
    every = [cell.split("\n") for cell in cells]
    for n in range(max(map(len, every))):
        for lines, column in zip(every, columns, strict=True):
            cell = lines[n] if n < len(lines) else ""
            style = "class:changed" if cell.startswith("*") else ""
            style = {"FINDINGS": severity, ACTIVITY: "class:activity"}.get(column.head, style)
            pieces += [(style, f"{cell:{column.width}}"), ("", " ")]
        pieces.append(("", "\n"))
    return pieces
