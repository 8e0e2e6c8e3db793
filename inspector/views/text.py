"""An answer as text: tables that fit, coloured on a terminal, plain in a pipe or under NO_COLOR."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

from inspector.base.foreign_text import visible
from inspector.base.wrapping import pieces, wrapped
from inspector.model.answer import AnyAnswer, Block, Facts, Table
from inspector.views.fit import GAP, Column, Fitted, columns_of, fit
from inspector.views.terminal import Screen, screen

SEVERITIES = frozenset({"SEVERITY", "VERDICT", "FINDINGS"})
"""The columns that tell severities."""
_FINDING = re.compile(r"[A-Z]+\d+ (bug|warning|info)\b")


def show(answer: AnyAnswer, out: IO[str], on: Screen | None = None) -> None:
    """Print the blocks, an empty line between them; `on` is what `out` is, if that does not tell itself."""
    where = on or screen(out)
    for index, block in enumerate(answer.blocks):
        if index:
            out.write("\n")
        _show(block, out, where)


def part(block: Block, out: IO[str], on: Screen | None = None) -> None:
    """Print a part of an answer that comes in parts, at once; `on` as for `show`."""
    _show(block, out, on or screen(out))
    out.flush()


def _show(block: Block, out: IO[str], where: Screen) -> None:
    match block:
        case Table():
            _title(block.title, out, where)
            fitted = fit(block, where.width, where.sideways)
            if where.records:
                fitted = fit(block, None)
            lines = _records(fitted, where) if fitted.records or where.records else _beside(fitted, where)
            out.write("".join(f"{line}\n" for line in lines))
        case Facts():
            _title(block.title, out, where)
            rows = [(visible(name), visible(value)) for name, value in block.rows]
            out.write("".join(f"{line}\n" for line in _facts(rows, where)))
        case _:
            text = wrapped(visible(block.text).expandtabs(), where.width)
            out.write(f"{where.told(text, severities=bool(_FINDING.match(text)))}\n")


def _title(title: str, out: IO[str], where: Screen) -> None:
    if title:
        lines = wrapped(visible(title).expandtabs(), where.width).split("\n")
        out.write("".join(f"{where.title(line)}\n" for line in lines))


def _beside(fitted: Fitted, where: Screen) -> Iterator[str]:
    """The columns beside each other."""
    shown = fitted.columns
    heads = [column.head for column in shown]
    told = where.links is not None or (where.coloured and not SEVERITIES.isdisjoint(heads))
    for line in _lines([heads], shown):
        yield where.bold(line.rstrip())
    rows = zip(*(column.cells for column in shown), strict=True)
    if not told and not any("\n" in cell for column in shown for cell in column.cells):
        yield from _plain(shown)
    else:
        for row in rows:
            cells = [where.told(cell, severities=head in SEVERITIES) for head, cell in zip(heads, row, strict=True)]
            yield from _lines([cells], shown)
    if fitted.left_out:
        yield from pieces(
            f"(not shown for want of width: {', '.join(fitted.left_out)}; --format vertical shows all)",
            where.width or 0,
        )


def _plain(shown: Sequence[Column]) -> Iterator[str]:
    """The rows of a table whose cells have one line each, column by column: tables may be long."""
    # The last column's padding would only be spaces at the ends of lines.
    last = len(shown) - 1
    ready = [
        column.cells if n == last and not column.right else [_padded(cell, column) for cell in column.cells]
        for n, column in enumerate(shown)
    ]
    return (GAP.join(cells).rstrip() for cells in zip(*ready, strict=True))


def _lines(rows: Sequence[Sequence[str]], shown: Sequence[Column]) -> Iterator[str]:
    for row in rows:
        cells = [cell.split("\n") for cell in row]
        for n in range(max(map(len, cells), default=0)):
            line = [
                _padded(cell[n] if n < len(cell) else "", column) for cell, column in zip(cells, shown, strict=True)
            ]
            yield GAP.join(line).rstrip()


def _records(fitted: Fitted, where: Screen) -> Iterator[str]:
    """The rows below each other, each as lines of a name and a value."""
    heads = [column.head for column in fitted.columns]
    for n, row in enumerate(zip(*(column.cells for column in fitted.columns), strict=True)):
        if n:
            yield ""
        yield from _facts([*zip(heads, row, strict=True)], where)


def _facts(rows: Sequence[tuple[str, str]], where: Screen) -> Iterator[str]:
    width = max((columns_of(line) for name, _ in rows for line in name.split("\n")), default=0)
    indent = " " * (width + len(GAP))
    for name, value in rows:
        lines = value.split("\n")
        if where.width is not None:
            lines = [piece for line in lines for piece in pieces(line, max(where.width - len(indent), 1))]
        lines = [where.told(line, severities=name in SEVERITIES) for line in lines]
        first, *more = lines
        space = " " * (len(indent) - columns_of(name))
        shown = where.told(name, severities=True) if _FINDING.match(name) else where.bold(name)
        yield f"{shown}{space}{first}".rstrip()
        yield from (f"{indent}{line}".rstrip() for line in more)


def _padded(cell: str, column: Column) -> str:
    spaces = " " * (column.width - _shown_width(cell))
    return spaces + cell if column.right else cell + spaces


_STYLE = re.compile(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b]*\x1b\\")
"""What takes no room: colours, and where links begin and end."""


def _shown_width(cell: str) -> int:
    return columns_of(_STYLE.sub("", cell) if "\x1b" in cell else cell)
