"""An answer as text: rich tables, coloured on a terminal, plain in a pipe or under NO_COLOR."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText

from inspector.model.answer import Answer, Block, Facts, Table

UNLIMITED = 10_000


def console(out: TextIO) -> Console:
    """A console on `out`: as wide as the terminal, or without a limit where nobody would see the rest of a cut line."""
    forced = bool(os.environ.get("FORCE_COLOR")) or None
    return Console(file=out, width=None if out.isatty() else UNLIMITED, highlight=False, force_terminal=forced)


def show(answer: Answer, out: TextIO) -> None:
    """Print the blocks, an empty line between them."""
    screen = console(out)
    for index, block in enumerate(answer.blocks):
        if index:
            screen.print()
        _show(block, screen)


def _show(block: Block, screen: Console) -> None:
    match block:
        case Table():
            _title(block.title, screen)
            table = RichTable(box=None, pad_edge=False, header_style="bold")
            for column in block.columns:
                table.add_column(column, justify="right" if column in block.numeric else "left", overflow="fold")
            for row in block.rows:
                table.add_row(*(RichText(cell) for cell in row))
            _print(table, screen)
        case Facts():
            _title(block.title, screen)
            table = RichTable(box=None, pad_edge=False, show_header=False)
            for name, value in block.rows:
                table.add_row(RichText(name, "bold"), RichText(value))
            _print(table, screen)
        case _:
            screen.print(RichText(block.text), soft_wrap=True)


def _title(title: str, screen: Console) -> None:
    if title:
        screen.print(RichText(title, "bold underline" if screen.is_terminal else ""), soft_wrap=True)


def _print(table: RichTable, screen: Console) -> None:
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    screen.file.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
