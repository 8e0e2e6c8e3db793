"""What a command answers: a document for scripts, and blocks that a view turns into text. Plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from inspector.model.absence import UNREADABLE, Absence


@dataclass(frozen=True)
class Table:
    """Rows of text under column heads. `numeric` names the columns that are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    numeric: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Facts:
    """Names with their values, one a line."""

    rows: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


Block = Table | Facts | Text


@dataclass(frozen=True)
class Answer:
    """One command's answer.

    Attributes:
        document: what `--json` prints.
        blocks: the same for a reader.
        problems: what could not be read, a line each; with any, the exit status is 3.
        absent: the same typed, and what else is not there to be shown: `--json` prints it as `absent`.
        notes: what the reader should know but is no failure, a line each.
        bug: whether a bug was found in the target; then the exit status is 1.
    """

    document: dict[str, Any]
    blocks: Sequence[Block]
    problems: Sequence[str] = ()
    notes: Sequence[str] = field(default=())
    bug: bool = False
    absent: Sequence[Absence] = ()

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        return "".join(map(_html, self.blocks))

    @property
    def exit_status(self) -> int:
        """0, 1 if a bug was found, or else 3 if something could not be read."""
        unreadable = any(absence.kind == UNREADABLE for absence in self.absent)
        return 1 if self.bug else 3 if self.problems or unreadable else 0


def _html(block: Block) -> str:
    from inspector.model.notebook import html_table, html_text

    match block:
        case Table():
            return html_table(block.columns, block.rows, block.title)
        case Facts():
            return html_table((), block.rows, block.title)
    return html_text(block.text)
