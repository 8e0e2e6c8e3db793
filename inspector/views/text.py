"""An answer as text: tables, coloured on a terminal, plain in a pipe or under NO_COLOR.

A table that needs no folding is laid out here, column by column: rich measures each cell several times, and so needs
milliseconds a row. Where no terminal is, it need not even be loaded.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from inspector.base.foreign_text import visible
from inspector.model.answer import AnyAnswer, Block, Facts, Table

if TYPE_CHECKING:
    from rich.console import Console

UNLIMITED = 10_000
"""Columns where no terminal is."""
GAP = "  "
FOLDED_ROWS = 500
"""A longer table is not folded on a terminal that is too narrow: the terminal itself breaks its lines."""


def show(answer: AnyAnswer, out: IO[str]) -> None:
    """Print the blocks, an empty line between them."""
    screen = _screen(out)
    for index, block in enumerate(answer.blocks):
        if index:
            out.write("\n")
        _show(block, out, screen)


def part(block: Block, out: IO[str]) -> None:
    """Print a part of an answer that comes in parts, at once."""
    _show(block, out, _screen(out))
    out.flush()


def _screen(out: IO[str]) -> Console | None:
    """The terminal, or what is to be taken for one; None if there is none, and so nothing is coloured."""
    if not out.isatty() and not os.environ.get("FORCE_COLOR"):
        return None
    from inspector.views import terminal

    return terminal.console(out)


def _show(block: Block, out: IO[str], screen: Console | None) -> None:
    match block:
        case Table():
            _title(block.title, out, screen)
            right = [column in block.numeric for column in block.columns]
            _print([*map(visible, block.columns)], [[*map(visible, row)] for row in block.rows], right, out, screen)
        case Facts():
            _title(block.title, out, screen)
            _print(None, [[visible(name), visible(value)] for name, value in block.rows], [False, False], out, screen)
        case _ if screen is None:
            out.write(f"{_plain(block.text)}\n")
        case _:
            from inspector.views import terminal

            terminal.paragraph(visible(block.text), screen)


def _title(title: str, out: IO[str], screen: Console | None) -> None:
    if title and screen is None:
        out.write(f"{_plain(title)}\n")
    elif title and screen:
        from inspector.views import terminal

        terminal.title(visible(title), screen)


def _plain(text: str) -> str:
    return visible(text).expandtabs()


def _print(
    head: list[str] | None, rows: list[list[str]], right: Sequence[bool], out: IO[str], screen: Console | None
) -> None:
    """A table; the names of facts (no head) are bold."""
    lines = [head, *rows] if head is not None else rows
    if not lines:
        return
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    fits = sum(widths) + len(GAP) * (len(widths) - 1) <= (screen.width if screen else UNLIMITED)
    if (not fits and len(rows) <= FOLDED_ROWS) or any("\n" in cell for row in lines for cell in row):
        from inspector.views import terminal

        terminal.folded(head, rows, right, screen or terminal.console(out))
        return
    # The last column's padding would only be spaces at the ends of lines.
    last = len(widths) - 1
    ready = [
        [cell if n == last and not to_right else _padded(cell, width, to_right) for cell in column]
        for n, (column, width, to_right) in enumerate(zip(zip(*lines, strict=True), widths, right, strict=True))
    ]
    text = [GAP.join(cells).rstrip() for cells in zip(*ready, strict=True)]
    if screen and screen.is_terminal and screen.color_system:
        bold = text[:1] if head is not None else []
        text[: len(bold)] = [f"\x1b[1m{line}\x1b[0m" for line in bold]
        if head is None:
            text = [f"\x1b[1m{line[: len(name)]}\x1b[0m{line[len(name) :]}" for line, (name, _) in zip(text, rows)]  # noqa: B905
    out.write("".join(f"{line}\n" for line in text))


def _width(cell: str) -> int:
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)


def _padded(cell: str, width: int, to_right: bool) -> str:
    spaces = " " * (width - _width(cell))
    return spaces + cell if to_right else cell + spaces
