"""Links of a report: from a finding to the row that it is about, and from the row back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Self
from xml.etree.ElementTree import Element

from inspector.analysis.report import Explained, Report
from inspector.views.html.markup import tag
from structs.frozen import frozen

MARKS = {"bug": "\u2716", "warning": "\u25b2", "info": "\u2139", "ok": "\u2714"}

_USER = re.compile(r"irq \d+|[0-9a-f:]+\.[0-7]")

_INDEX = re.compile(r"\bat index (0x[0-9a-f]+)")
"""How a fault that was reported names an entry."""


@frozen
class Links:
    """The findings by the name of what they are about: of those things only that the page shows.

    `places` are these names by the findings; a finding's number is its place in the report.
    """

    places: Mapping[Explained, str]
    findings: Mapping[str, Sequence[tuple[int, Explained]]]

    @classmethod
    def of(cls, report: Report) -> Self:
        """The links of a report's page."""
        shown, sources = set(_names(report)), list(_sources(report))
        places: dict[Explained, str] = {}
        findings: dict[str, list[tuple[int, Explained]]] = {}
        for numbered in enumerate(report.findings):
            name = _place(numbered[1], shown, sources)
            if name is not None:
                places[numbered[1]] = name
                findings.setdefault(name, []).append(numbered)
        return cls(places, findings)

    def id(self, name: str) -> str | None:
        """The anchor of what has this name; None if no finding is about it."""
        return f"about-{self.findings[name][0][0]}" if name in self.findings else None

    def to(self, finding: Explained) -> Element:
        """A finding's subject: a link where the page shows what it is about."""
        place = self.id(self.places.get(finding, ""))
        return tag("a", finding.subject, href=f"#{place}") if place else tag("span", finding.subject)

    def back(self, name: str) -> list[Element]:
        """Links to the findings about what has this name."""
        return [
            tag(
                "a",
                f"{MARKS[said.severity]} {said.rule} {said.severity}",
                href=f"#{anchor(number)}",
                class_=said.severity,
            )
            for number, said in self.findings.get(name, ())
        ]


NONE = Links({}, {})


def anchor(number: int) -> str:
    """The anchor of a finding."""
    return f"finding-{number}"


def entry_name(unit: str, index: int) -> str:
    """How findings name an entry of a unit's table."""
    return f"{unit} entry {index:#x}"


def cpu_name(cpu: int) -> str:
    """How findings name a CPU."""
    return f"CPU {cpu}"


def _names(report: Report) -> Iterator[str]:
    """What the page shows a place of."""
    yield from (row[0] for row in report.vcpus.rows)
    yield from (cpu_name(chain.cpu) for chain in report.chains)
    for table in report.tables:
        yield table.unit
        yield from (entry_name(table.unit, entry.index) for entry in table.entries)


def _sources(report: Report) -> Iterator[tuple[str, str]]:
    """Who uses each entry, as its row says (`00:03.0 MSI-X irq 24`), and the entry's name."""
    for table in report.tables:
        if "SOURCE" in table.rows.columns:
            column = table.rows.columns.index("SOURCE")
            for entry, row in zip(table.entries, table.rows.rows, strict=False):
                yield row[column], entry_name(table.unit, entry.index)


def _place(finding: Explained, shown: set[str], sources: Sequence[tuple[str, str]]) -> str | None:
    """The name of what a finding is about: the entry that it speaks of; an irq and a device are where the first entry
    is that they use, or at the only table that is shown, if they spoke of an entry that is not there.
    """
    subject = finding.subject
    name = re.sub(r"^cpu (?=\d+$)", "CPU ", subject)
    if name in shown:
        return name
    if not _USER.fullmatch(subject):
        return None
    index = _INDEX.search(finding.message)
    there = [name for name in shown if index and name.endswith(f" entry {index[1]}")]
    if len(there) == 1:
        return there[0]
    whole = re.compile(rf"(?<![\w:.]){re.escape(subject)}(?![\w:.])")
    used = next((place for source, place in sources if whole.search(source)), None)
    units = [name for name in shown if re.fullmatch(r"unit \d+", name)]
    return used or (units[0] if index and len(units) == 1 else None)
