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


@frozen
class Links:
    """The findings by the name of what they are about: of those things only that the page shows.

    `places` are these names by the subjects of the findings; a finding's number is its place in the report.
    """

    places: Mapping[str, str]
    findings: Mapping[str, Sequence[tuple[int, Explained]]]

    @classmethod
    def of(cls, report: Report) -> Self:
        """The links of a report's page."""
        shown, sources = set(_names(report)), list(_sources(report))
        places: dict[str, str] = {}
        findings: dict[str, list[tuple[int, Explained]]] = {}
        for numbered in enumerate(report.findings):
            subject = numbered[1].subject
            name = _place(subject, shown, sources)
            if name is not None:
                places[subject] = name
                findings.setdefault(name, []).append(numbered)
        return cls(places, findings)

    def id(self, name: str) -> str | None:
        """The anchor of what has this name; None if no finding is about it."""
        return f"about-{self.findings[name][0][0]}" if name in self.findings else None

    def to(self, subject: str) -> Element:
        """A finding's subject: a link where the page shows what it is about."""
        place = self.id(self.places.get(subject, ""))
        return tag("a", subject, href=f"#{place}") if place else tag("span", subject)

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


def _place(subject: str, shown: set[str], sources: Sequence[tuple[str, str]]) -> str | None:
    """The name of what a finding is about; an irq and a device are where the first entry is that they use."""
    name = re.sub(r"^cpu (?=\d+$)", "CPU ", subject)
    if name in shown:
        return name
    if not _USER.fullmatch(subject):
        return None
    whole = re.compile(rf"(?<![\w:.]){re.escape(subject)}(?![\w:.])")
    return next((place for source, place in sources if whole.search(source)), None)
