"""What rich draws of an answer: styles, and tables that are folded into a terminal's width."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Rich would end the program with status 1, which is the audit's."""
        raise BrokenPipeError


def console(out: IO[str]) -> Console:
    """A console on `out`: as wide as the terminal, or without a limit where nobody would see the rest of a cut line."""
    forced = bool(os.environ.get("FORCE_COLOR")) or None
    return _Console(file=out, width=None if out.isatty() else UNLIMITED, highlight=False, force_terminal=forced)


def title(text: str, screen: Console) -> None:
    """A line that stands out."""
    screen.print(Text(text, "bold underline" if screen.is_terminal else ""), soft_wrap=True)


def paragraph(text: str, screen: Console) -> None:
    """Text, whose lines the terminal itself breaks."""
    screen.print(Text(text), soft_wrap=True)


def folded(head: Sequence[str] | None, rows: Sequence[Sequence[str]], right: Sequence[bool], screen: Console) -> None:
    """A table whose cells are folded where it is too wide; the names of facts (no head) are bold."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=head is not None)
    for number, to_right in enumerate(right):
        table.add_column(head[number] if head else "", justify="right" if to_right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, "bold" if head is None and not n else "") for n, cell in enumerate(row)))
    if screen.is_terminal:
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    screen.file.write("".join(line.rstrip() + "\n" for line in captured.get().split("\n")[:-1]))
