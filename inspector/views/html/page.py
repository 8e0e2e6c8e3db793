"""A report as one HTML page: no script, no network, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from inspector.analysis.report import Chain, Explained, RemappingTable, Report
from inspector.model.answer import Table
from inspector.views.html import style, table_map, timeline
from inspector.views.html.links import MARKS, NONE, Links, anchor, cpu_name, entry_name
from inspector.views.html.markup import html, tag

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
WIDE = {"SITUATION", "VERDICT", "DESCRIPTOR", "SOURCE", "DESTINATION"}
HITS = 500


def page(report: Report) -> str:
    """The page's source."""
    links = Links.of(report)
    sections = (
        ("What the audit found", cards(report.findings, links)),
        ("What could not be read", [tag("p", line, class_="mono") for line in report.problems]),
        ("vCPUs and their descriptors", _vcpus(report.vcpus, links)),
        ("Lists of blocked vCPUs", [_chain(chain, links) for chain in report.chains]),
        ("Timeline", _timeline(report)),
        ("Interrupt-remapping tables", [part for table in report.tables for part in _remapping(table, links)]),
    )
    return whole(report.title, [verdict(report.findings), facts(report.facts)], sections)


def whole(
    title: str, first: Sequence[Element], sections: Sequence[tuple[str, Sequence[Element]]], more: str = ""
) -> str:
    """A page's source: a title, what stands under it, sections (those with no content are left out), `more` style."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", style.PALETTE + style.PAGE + style.DRAWING + more),
    )
    body = tag("main", tag("h1", title), *first)
    for heading, content in sections:
        if content:
            body.append(tag("section", tag("h2", heading), *content))
    body.append(tag("p", "Written by vtdpi. This page holds all it shows; it loads nothing.", class_="soft"))
    return html(tag("html", head, tag("body", body), lang="en"))


def verdict(findings: Sequence[Explained]) -> Element:
    """The audit's verdict in a line."""
    counts = {severity: sum(f.severity == severity for f in findings) for severity in ("bug", "warning", "info")}
    worst = next((severity for severity, count in counts.items() if count), "ok")
    words = ", ".join(
        f"{count} {name}{'s' * (count > 1 and name != 'info')}" for name, count in counts.items() if count
    )
    mark = tag("span", f"{MARKS[worst]} {words or 'no finding'}", class_="word")
    return tag("p", mark, " of the audit" if words else " in what the audit could check", class_=f"verdict {worst}")


def facts(pairs: Sequence[tuple[str, str]]) -> Element:
    """Names with their values."""
    return tag("dl", *(part for name, value in pairs for part in (tag("dt", name), tag("dd", value))))


def cards(findings: Sequence[Explained], links: Links = NONE) -> list[Element]:
    """A card for each rule that is broken, the worst first."""
    together: dict[tuple[str, str], list[tuple[int, Explained]]] = {}
    for number, finding in enumerate(findings):
        together.setdefault((finding.severity, finding.rule), []).append((number, finding))
    return [_card(found, links) for found in together.values()]


def _card(found: Sequence[tuple[int, Explained]], links: Links) -> Element:
    first = found[0][1]
    word = tag("span", f"{MARKS[first.severity]} {first.severity}", class_="word")
    return tag(
        "div",
        tag("strong", word, f" {first.rule} {first.name}"),
        *(
            tag("p", tag("strong", links.to(finding)), f" {finding.message}", id=anchor(number))
            for number, finding in found
        ),
        tag("details", tag("summary", "What this means"), *_paragraphs(first.explanation)),
        class_=f"finding {first.severity}",
    )


def _paragraphs(text: str) -> list[Element]:
    """Text whose lines were broken for source code: paragraphs, broken where this page needs it."""
    return [tag("p", re.sub(r"\n(?! )", " ", part), class_="explanation") for part in text.split("\n\n")]


def _vcpus(table: Table, links: Links) -> list[Element]:
    return [rows(table, [row[0] for row in table.rows], links)] if table.rows else []


def rows(table: Table, names: Sequence[str] = (), links: Links = NONE, name: str = "Table") -> Element:
    """A table, which becomes cards on a narrow screen.

    Args:
        table: what it shows.
        names: what each row is about, as findings name it.
        links: to the findings.
        name: of the table, for who cannot see it.
    """
    heads = [tag("th", column, scope="col", class_=_class(table, column)) for column in table.columns]
    about = [*names, *[""] * len(table.rows)]
    body = [_row(table, row, links.id(of), links.back(of)) for row, of in zip(table.rows, about, strict=False)]
    made = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="cards")
    return scroll(made, name)


def _row(table: Table, row: Sequence[str], place: str | None, back: Sequence[Element]) -> Element:
    """A row. Its findings stand as links in the verdict, in a table with none behind the first cell's words."""
    cells = [
        tag("td", cell, class_=_class(table, column, cell), data_label=column)
        for column, cell in zip(table.columns, row, strict=True)
    ]
    if back and "VERDICT" in table.columns:
        at = table.columns.index("VERDICT")
        cells[at] = tag("td", *_spaced(back), class_=_class(table, "VERDICT"), data_label="VERDICT")
    elif back:
        cells[0] = tag(
            "td", row[0], " ", *_spaced(back), class_=_class(table, table.columns[0]), data_label=table.columns[0]
        )
    return tag("tr", *cells, id=place)


def _spaced(elements: Sequence[Element]) -> list[Element | str]:
    return [part for element in elements for part in (element, " ")][:-1]


def scroll(content: Element, name: str, more: str = "") -> Element:
    """A part that scrolls in itself where the page is too narrow for it; with the keyboard too."""
    return tag("div", content, class_=f"scroll {more}".strip(), tabindex=0, role="region", aria_label=name)


def _class(table: Table, name: str, cell: str = "") -> str | None:
    kinds = {"numeric": name in table.numeric, "wide": name in WIDE, "none": cell == "-"}
    return " ".join(kind for kind, is_so in kinds.items() if is_so) or None


def _chain(chain: Chain, to: Links) -> Element:
    name = cpu_name(chain.cpu)
    links = [tag("li", tag("span", f"{name}: {chain.state}", class_="link head"), *_spaced(to.back(name)))]
    for link in chain.links:
        shown = tag("span", f"{link.name} {link.mark}".strip(), class_="link marked" if link.mark else "link")
        links.append(tag("li", tag("span", "\u2192", class_="arrow"), shown))
    if chain.broken:
        broken = tag("strong", f"{MARKS['bug']} broken: {chain.broken}", class_="word")
        links.append(tag("li", tag("span", "\u2192", class_="arrow"), tag("span", broken, class_="bug")))
    elif chain.links:
        links.append(tag("li", tag("span", "\u21a9 back to the head", class_="arrow soft")))
    else:
        links.append(tag("li", tag("span", "empty", class_="soft")))
    return tag("ol", *links, class_="chain", id=to.id(name))


def _remapping(table: RemappingTable, links: Links) -> list[Element]:
    names = [entry_name(table.unit, entry.index) for entry in table.entries]
    posted = sum(entry.format == "posted" for entry in table.entries)
    counts = {"posted": posted, "remapped": len(table.entries) - posted}
    keys = [table_map.key(kind, f"{kind}: {count}") for kind, count in counts.items()]
    return [
        tag("h3", table.title, " ", *_spaced(links.back(table.unit)), id=links.id(table.unit)),
        tag("p", *keys, table_map.key("free", "not present")),
        scroll(table_map.table_map(table), f"Map of {table.unit}", "map"),
        tag("details", tag("summary", f"The {len(table.entries)} entries"), rows(table.rows, names, links, table.unit)),
    ]


def _timeline(report: Report) -> list[Element]:
    if not report.hits:
        return []
    shown = report.hits[:HITS]
    lines = [
        (f"{hit.time:g}", hit.where, hit.function or "-", hit.whose or "-", hit.words() or "entered") for hit in shown
    ]
    table = Table((f"TIME ({report.unit})", "BY", "FUNCTION", "VCPU", "CHANGES"), lines)
    first = f"The first {HITS} of {len(report.hits)} transitions" if len(report.hits) > HITS else "The transitions"
    return [
        timeline_keys(),
        scroll(timeline.timeline(report.hits, report.unit, report.vectors), "Timeline", "timeline"),
        tag("details", tag("summary", first), rows(table)),
    ]


def timeline_keys() -> Element:
    """What a timeline's marks mean."""
    return tag(
        "p",
        timeline.key("notify", "low: NV is the notification vector"),
        timeline.key("wakeup", "high: NV is the wakeup vector"),
        timeline.key("suppressed", "thin: SN=1"),
        timeline.key("other", "pale: neither changed in this trace"),
        timeline.key("mark", "a vector is posted"),
    )
