"""A table as it fits a width: no word and no number is ever folded, for a folded address cannot be copied.

What does not fit has, one after the other until it does: short forms of its cells; no columns that can be spared;
cells broken between words; a record of lines for each row.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.base.foreign_text import visible
from inspector.base.wrapping import pieces
from inspector.model.answer import Table
from structs.frozen import frozen

GAP = "  "
NARROWEST = 16
"""A column whose words would be broken to less is not read any more."""
PROSE = 60
"""The width of sentences where the page is as wide as one likes."""
Cell = list[str]
"""The lines of it."""


@frozen
class Column:
    """A column, as it is shown."""

    head: str
    cells: list[str]
    right: bool
    width: int

    @classmethod
    def of(cls, head: str, cells: list[str], right: bool) -> Column:
        """With the width that it needs."""
        lines = (line for cell in (head, *cells) for line in (cell.split("\n") if "\n" in cell else (cell,)))
        return cls(head, cells, right, max(map(columns_of, lines)))

    @property
    def least(self) -> int:
        """The longest word."""
        return max((columns_of(word) for cell in {self.head, *self.cells} for word in cell.split()), default=0)

    def narrowed(self, width: int) -> Column:
        """With its cells, and its head, broken between words."""
        if width >= self.width:
            return self
        return Column(_broken(self.head, width), [_broken(cell, width) for cell in self.cells], self.right, width)


@frozen
class Fitted:
    """What is shown of a table.

    Attributes:
        columns: beside each other, or below each other if they are `records`.
        left_out: the heads of the columns that are not shown.
        records: whether each row is a record of lines, a name and a value each.
    """

    columns: Sequence[Column]
    left_out: Sequence[str] = ()
    records: bool = False


def columns_of(text: str) -> int:
    """How wide a terminal shows a text."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(table: Table, width: int | None, sideways: bool = False) -> Fitted:
    """The table in a width; None for any. With `sideways`, whoever reads it can scroll to what is farther right."""
    shown = _columns(table)
    if width is None or _total(shown) <= width:
        return Fitted(shown)
    if sideways:
        return Fitted([column.narrowed(max(PROSE, column.least)) for column in shown])
    for name, cells in table.short.items():
        at = list(table.columns).index(name)
        shown[at] = Column.of(shown[at].head, [visible(cell) for cell in cells], shown[at].right)
        if _total(shown) <= width:
            return Fitted(shown)
    if table.spare and len(table.rows) == 1:
        return Fitted(_columns(table), records=True)
    left_out = []
    # What tells nothing goes first.
    empty = [column.head for column in shown[1:] if {*column.cells} <= {"", "-"}]
    for name in dict.fromkeys([*(name for name in table.spare if name in empty), *table.spare]):
        shown = [column for column in shown if column.head != name]
        left_out.append(name)
        if _total(shown) <= width:
            return Fitted(shown, left_out)
    if narrowed := _narrowed(shown, width):
        return Fitted(narrowed, left_out)
    return Fitted(_columns(table), records=True)


def _columns(table: Table) -> list[Column]:
    cells = list(zip(*table.rows, strict=True)) if table.rows else [()] * len(table.columns)
    return [
        Column.of(visible(head), [visible(cell) for cell in of_column], head in table.numeric)
        for head, of_column in zip(table.columns, cells, strict=True)
    ]


def _total(shown: Sequence[Column]) -> int:
    return sum(column.width for column in shown) + len(GAP) * (len(shown) - 1)


def _narrowed(shown: Sequence[Column], width: int) -> list[Column] | None:
    """The widest columns broken to one width; None if that is too narrow to be read."""
    room = width - len(GAP) * (len(shown) - 1)
    least = [column.least for column in shown]
    level = next(
        (
            level
            for level in range(room, NARROWEST - 1, -1)
            if sum(max(a, min(column.width, level)) for a, column in zip(least, shown, strict=True)) <= room
        ),
        None,
    )
    if level is None:
        return None
    return [column.narrowed(max(a, min(column.width, level))) for a, column in zip(least, shown, strict=True)]


def _broken(cell: str, width: int) -> str:
    if len(cell) <= width:
        return cell
    return "\n".join(piece for line in cell.split("\n") for piece in pieces(line, width))
