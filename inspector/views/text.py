"""An answer as text: tables, coloured on a terminal, plain in a pipe or under NO_COLOR.

A table that needs no folding is laid out here, column by column: rich measures each cell several times, and so needs
milliseconds a row.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, NoReturn

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText

from inspector.base.foreign_text import visible
from inspector.model.answer import Answer, Block, Facts, Table

UNLIMITED = 10_000
GAP = "  "
FOLDED_ROWS = 500
"""A longer table is not folded on a terminal that is too narrow: the terminal itself breaks its lines."""


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would end the program with status 1, which is the audit's."""
        raise BrokenPipeError


def console(out: IO[str]) -> Console:
    """A console on `out`: as wide as the terminal, or without a limit where nobody would see the rest of a cut line."""
    forced = bool(os.environ.get("FORCE_COLOR")) or None
    return _Console(file=out, width=None if out.isatty() else UNLIMITED, highlight=False, force_terminal=forced)


def show(answer: Answer, out: IO[str]) -> None:
    """Print the blocks, an empty line between them."""
    screen = console(out)
    for index, block in enumerate(answer.blocks):
        if index:
            screen.print()
        _show(block, screen)


def part(block: Block, out: IO[str]) -> None:
    """Print a part of an answer that comes in parts, at once."""
    _show(block, console(out))
    out.flush()


def _show(block: Block, screen: Console) -> None:
    match block:
        case Table():
            _title(block.title, screen)
            right = [column in block.numeric for column in block.columns]
            _print([*map(visible, block.columns)], [[*map(visible, row)] for row in block.rows], right, screen)
        case Facts():
            _title(block.title, screen)
            _print(None, [[visible(name), visible(value)] for name, value in block.rows], [False, False], screen)
        case _:
            screen.print(RichText(visible(block.text)), soft_wrap=True)


def _title(title: str, screen: Console) -> None:
    if title:
        screen.print(RichText(visible(title), "bold underline" if screen.is_terminal else ""), soft_wrap=True)


def _print(head: list[str] | None, rows: list[list[str]], right: Sequence[bool], screen: Console) -> None:
    """A table; the names of facts (no head) are bold."""
    lines = [head, *rows] if head is not None else rows
    if not lines:
        return
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    fits = sum(widths) + len(GAP) * (len(widths) - 1) <= screen.width
    if (not fits and len(rows) <= FOLDED_ROWS) or any("\n" in cell for row in lines for cell in row):
        _print_folded(head, rows, right, screen)
        return
    # The last column's padding would only be spaces at the ends of lines.
    last = len(widths) - 1
    ready = [
        [cell if n == last and not to_right else _padded(cell, width, to_right) for cell in column]
        for n, (column, width, to_right) in enumerate(zip(zip(*lines, strict=True), widths, right, strict=True))
    ]
    text = [GAP.join(cells).rstrip() for cells in zip(*ready, strict=True)]
    if screen.is_terminal and screen.color_system:
        bold = text[:1] if head is not None else []
        text[: len(bold)] = [f"\x1b[1m{line}\x1b[0m" for line in bold]
        if head is None:
            text = [f"\x1b[1m{line[: len(name)]}\x1b[0m{line[len(name) :]}" for line, (name, _) in zip(text, rows)]  # noqa: B905
    screen.file.write("".join(f"{line}\n" for line in text))


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else cell_len(cell)


def _padded(cell: str, width: int, to_right: bool) -> str:
    spaces = " " * (width - _width(cell))
    return spaces + cell if to_right else cell + spaces


def _print_folded(head: list[str] | None, rows: list[list[str]], right: Sequence[bool], screen: Console) -> None:
    table = RichTable(box=None, pad_edge=False, header_style="bold", show_header=head is not None)
    for number, to_right in enumerate(right):
        table.add_column(head[number] if head else "", justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(RichText(cell, "bold" if head is None and not n else "") for n, cell in enumerate(row)))
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    screen.file.write("".join(line.rstrip() + "\n" for line in captured.get().split("\n")[:-1]))
