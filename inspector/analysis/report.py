"""What a report of a machine holds: plain data, which a view makes a page or a picture of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from inspector.model.answer import Table
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.trace.trace_event import TraceEvent


@frozen
class Explained:
    """A finding of the audit, with its rule's name and explanation."""

    rule: str
    name: str
    severity: str
    subject: str
    message: str
    explanation: str


@frozen
class Entry:
    """A present entry of a remapping table: its index, `remapped` or `posted`, and all of it in words."""

    index: int
    format: str
    words: str


@frozen
class RemappingTable:
    """A unit's table: how many entries it has room for, those that are present, and the same as text.

    `unit` is the unit's name, as findings have it: `unit 0`.
    """

    title: str
    size: int
    entries: Sequence[Entry]
    rows: Table
    unit: str = ""


@frozen
class Link:
    """A vCPU on a list, or the address of a node that is no vCPU's; `mark` says what is remarkable about it."""

    name: str
    mark: str = ""


@frozen
class Chain:
    """A CPU's list of blocked vCPUs, in list order. `state` is `online, lock free`; `broken` why it ends early."""

    cpu: int
    state: str
    links: Sequence[Link]
    broken: str | None = None


@frozen
class Report:
    """Everything that a page about one machine shows.

    `hits` are a trace's, whose times are in `unit`; `vectors` are Xen's notification and wakeup vectors.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    findings: Sequence[Explained]
    vcpus: Table
    chains: Sequence[Chain]
    tables: Sequence[RemappingTable]
    problems: Sequence[str] = ()
    hits: Sequence[TraceEvent] = field(default=())
    unit: str = "s"
    vectors: tuple[int | None, int | None] = (None, None)
