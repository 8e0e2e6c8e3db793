"""An answer's tables for other programs: CSV, Markdown, a JSON object a row; and as records below each other."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from inspector.base.errors import UsageError
from inspector.base.foreign_text import one_line
from inspector.model.answer import AnyAnswer, Table
from inspector.model.hex_members import hexed
from inspector.views import json, text
from inspector.views.terminal import Screen, screen


def show(answer: AnyAnswer, out: IO[str], format: str, on: Screen | None = None) -> None:
    """Print the answer in a form. Raises UsageError if it has no table, which `csv`, `jsonl` and `markdown` need."""
    if format == "vertical":
        text.show(answer, out, replace(on or screen(out), records=True))
        return
    tables = [block for block in answer.blocks if isinstance(block, Table)]
    if not tables:
        raise UsageError(f"this answers with no table, so not as {format}; see --json")
    {"csv": _csv, "jsonl": _jsonl, "markdown": _markdown}[format](tables, out)


def _csv(tables: Sequence[Table], out: IO[str]) -> None:
    """The tables, an empty line between them, as RFC 4180 says but for the ends of lines, which are Unix's."""
    write = csv.writer(out, lineterminator="\n")
    for number, table in enumerate(tables):
        if number:
            out.write("\n")
        write.writerow(table.columns)
        write.writerows([one_line(cell) for cell in row] for row in table.rows)


def _jsonl(tables: Sequence[Table], out: IO[str]) -> None:
    for table in tables:
        for record in _records(table):
            out.write(json.text(record) + "\n")


def _records(table: Table) -> Iterator[Mapping[str, Any]]:
    """The rows as the document has them, or else by the names of their columns."""
    if table.records is not None:
        return map(hexed, table.records)
    names = [head.casefold().replace(" ", "_").replace("-", "_") for head in table.columns]
    return (dict(zip(names, row, strict=True)) for row in table.rows)


def _markdown(tables: Sequence[Table], out: IO[str]) -> None:
    for number, table in enumerate(tables):
        if number:
            out.write("\n")
        if table.title:
            out.write(f"{one_line(table.title)}\n\n")
        rule = ["--:" if head in table.numeric else "---" for head in table.columns]
        for row in (table.columns, rule, *table.rows):
            out.write("| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in row) + " |\n")
