"""What a command answers: a document for scripts, and blocks that a view turns into text. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

from inspector.model.absence import UNREADABLE, Absence
from structs.frozen import frozen


@frozen
class Table:
    """Rows of text under column heads.

    Attributes:
        numeric: the columns that are aligned to the right.
        short: short forms of columns' cells, where there is not room for all; the first one named is taken first.
        records: the list of the document that has these rows, in their order, if one has.
        spare: the columns that can be left out where there is not room for all, the first one named first.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    numeric: frozenset[str] = frozenset()
    short: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spare: Sequence[str] = ()
    records: list[Any] | None = None


@frozen
class Facts:
    """Names with their values, one a line."""

    rows: Sequence[tuple[str, str]]
    title: str = ""


@frozen
class Text:
    """A paragraph."""

    text: str


@frozen
class Told:
    """A part of an answer that comes in parts: for a reader, and as a document of its own, a line of JSON."""

    text: str
    document: Mapping[str, object]


Block = Table | Facts | Text | Told


class Later(Sequence[Block]):
    """Blocks that are made when somebody first looks at them: whoever prints JSON does not."""

    def __init__(self, make: Callable[[], Sequence[Block]]) -> None:
        self._make = make

    @cached_property
    def _blocks(self) -> Sequence[Block]:
        return self._make()

    @overload
    def __getitem__(self, at: int) -> Block: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Block]: ...

    def __getitem__(self, at: int | slice) -> Block | Sequence[Block]:
        return self._blocks[at]

    def __len__(self) -> int:
        return len(self._blocks)


D = TypeVar("D", bound=Mapping[str, object], covariant=True)


@frozen
class Answer(Generic[D]):
    """One command's answer.

    Attributes:
        document: what `--json` prints; its type, of which the schema is made, is one of `inspector.model.documents`.
        blocks: the same for a reader.
        problems: what could not be read, a line each; with any, the exit status is 3.
        absent: the same typed, and what else is not there to be shown: `--json` prints it as `absent`.
        notes: what the reader should know but is no failure, a line each.
        bug: whether a bug was found in the target; then the exit status is 1.
    """

    document: D
    blocks: Sequence[Block]
    problems: Sequence[str] = ()
    notes: Sequence[str] = field(default=())
    bug: bool = False
    absent: Sequence[Absence] = ()

    def named(self, schema: str) -> Answer[dict[str, object]]:
        """The same, with a document that names its schema."""
        return replace(cast("Answer[dict[str, object]]", self), document={"schema": schema, **self.document})

    def _repr_html_(self) -> str:
        """What a notebook cell prints."""
        return "".join(map(_html, self.blocks))

    @property
    def exit_status(self) -> int:
        """0, 1 if a bug was found, or else 3 if something could not be read."""
        unreadable = any(absence.kind == UNREADABLE for absence in self.absent)
        return 1 if self.bug else 3 if self.problems or unreadable else 0


AnyAnswer: TypeAlias = Answer[Any]
"""The answer of a command that is known only by its name."""


def _html(block: Block) -> str:
    from inspector.model.notebook import html_table, html_text

    match block:
        case Table():
            return html_table(block.columns, block.rows, block.title)
        case Facts():
            return html_table((), block.rows, block.title)
    return html_text(block.text)
