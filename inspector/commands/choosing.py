"""What any command that answers with tables takes besides its own options: which rows and columns, and in what form.

Rows are chosen and sorted by what is printed: `--where 'vector == 0x62'` takes the rows whose column VECTOR says 0x62.
Where the table's rows are a list of the document too, `--json` has the same rows.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from inspector.base.arguments import BadWord, Word, option
from inspector.base.errors import UsageError
from inspector.model.answer import AnyAnswer, Block, Table
from structs.frozen import frozen

FORMATS = ("table", "vertical", "json", "jsonl", "csv", "markdown")
WITHOUT = frozenset(
    (
        *(
            "step",
            "run",
            "core",
            "checkpoint",
            "post",
            "block",
            "wake",
            "sleep",
            "preempt",
            "migrate",
            "offline",
            "assign",
        ),
        *(
            "deassign",
            "stop",
            "cont",
            "watch",
            "trace",
            "expect",
            "save",
            "report",
            "undo",
            "goto",
            "break",
            "snapshot",
        ),
    )
)
"""The commands that do something, and answer with no table."""

_CONDITION = re.compile(r"\s*([\w -]*\w)\s*(==|!=|<=|>=|<|>|=~|=)\s*(.*?)\s*")
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@frozen
class Condition:
    """A column's name, how it is compared, and with what."""

    column: str
    test: str
    value: str

    def holds(self, cell: str) -> bool:
        """Whether it does for what a cell says: by number if both are numbers, else by text."""
        if self.test == "=~":
            return re.search(self.value, cell) is not None
        there, wanted = _number(cell), _number(self.value)
        if there is None or wanted is None:
            if self.test in ("==", "=", "!="):
                return _TESTS[self.test](cell, self.value)
            return False
        return _TESTS[self.test](there, wanted)


def read_condition(word: str) -> Condition:
    """`COLUMN == VALUE`, or another comparison. Raises BadWord."""
    match = _CONDITION.fullmatch(word)
    if match is None:
        raise BadWord(f"{word!r} is no condition; expected one such as vector==0x62, cpu!=1 or situation=~S8")
    if match[2] == "=~":
        try:
            re.compile(match[3])
        except re.error as error:
            raise BadWord(f"{match[3]!r} is no regular expression: {error}") from None
    return Condition(match[1], match[2], match[3].strip("'\""))


def read_names(word: str) -> tuple[str, ...]:
    """The columns' names that a word lists."""
    return tuple(name.strip() for name in word.split(",") if name.strip())


@frozen
class Choosing:
    """The options."""

    where: tuple[Annotated[Condition, Word("COLUMN==VALUE", read_condition)], ...] = option(
        "only such rows: == != < <= > >= =~; may be repeated", ()
    )
    order: Annotated[str | None, Word("COLUMN")] = option(
        "by this column; - before it: the last first", flags=["--sort"], metavar="COLUMN"
    )
    columns: Annotated[tuple[str, ...], Word("A,B", read_names)] = option("only these columns", (), metavar="A,B,...")
    format: Literal["table", "vertical", "json", "jsonl", "csv", "markdown"] | None = option("how rows are printed")


NOTHING = Choosing()


def chosen(answer: AnyAnswer, how: Choosing) -> AnyAnswer:
    """The answer with the rows and columns that were asked for.

    Raises:
        UsageError: no table has such a column, or a document's rows cannot be chosen.
    """
    if not (how.where or how.order or how.columns):
        return answer
    tables = [block for block in answer.blocks if isinstance(block, Table)]
    heads = list(dict.fromkeys(head for table in tables for head in table.columns))
    for name in (*(each.column for each in how.where), *([how.order.lstrip("-")] if how.order else []), *how.columns):
        if not any(_is(name, head) for head in heads):
            known = ", ".join(heads) or "none, for it answers with no table"
            raise UsageError(f"no column {name!r}; there are {known}", expected=heads, found=name)
    blocks = [_chosen(block, how) if isinstance(block, Table) else block for block in answer.blocks]
    return replace(answer, blocks=blocks)


def _chosen(table: Table, how: Choosing) -> Block:
    """A table with what was asked for; one that has none of the columns is left as it is."""
    places = [(each, _place(table, each.column)) for each in how.where]
    if any(place is None for _, place in places):
        return table
    kept = [
        number
        for number, row in enumerate(table.rows)
        if all(each.holds(row[place]) for each, place in places if place is not None)
    ]
    by = _place(table, how.order.lstrip("-")) if how.order else None
    if by is not None:
        kept.sort(key=lambda number: _order(table.rows[number][by]), reverse=(how.order or "").startswith("-"))
    if table.records is not None:
        table.records[:] = [table.records[number] for number in kept]
    found = replace(
        table,
        rows=[table.rows[number] for number in kept],
        short={name: [cells[number] for number in kept] for name, cells in table.short.items()},
    )
    at = [place for name in how.columns if (place := _place(table, name)) is not None]
    if not at:
        return found
    heads = [table.columns[place] for place in at]
    return replace(
        found,
        columns=heads,
        rows=[[row[place] for place in at] for row in found.rows],
        short={name: cells for name, cells in found.short.items() if name in heads},
        spare=(),
    )


def _is(name: str, head: str) -> bool:
    return head.casefold().startswith(name.casefold().replace("_", " "))


def _place(table: Table, name: str) -> int | None:
    whole = [at for at, head in enumerate(table.columns) if head.casefold() == name.casefold()]
    begun = [at for at, head in enumerate(table.columns) if _is(name, head)]
    return next(iter((*whole, *begun)), None)


def _number(text: str) -> int | None:
    """What a cell begins with, if that is a number: `0xf2 notify`, `CPU 1`."""
    word = text.removeprefix("CPU ").partition(" ")[0]
    try:
        return int(word, 0)
    except ValueError:
        return None


def _order(cell: str) -> tuple[bool, int, Sequence[object]]:
    """Numbers in order, then words, the numbers in them in order too."""
    number = _number(cell)
    parts = [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", cell)]
    return number is None, number or 0, parts
