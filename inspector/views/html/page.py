"""A report as one HTML page: no script, no network, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from inspector.analysis.report import Chain, Explained, RemappingTable, Report
from inspector.model.answer import Table
from inspector.views.html import style, table_map, timeline
from inspector.views.html.markup import html, tag

MARKS = {"bug": "\u2716", "warning": "\u25b2", "info": "\u2139", "ok": "\u2714"}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
WIDE = {"SITUATION", "VERDICT", "DESCRIPTOR", "SOURCE", "DESTINATION"}
HITS = 500


def page(report: Report) -> str:
    """The page's source."""
    sections = (
        ("What the audit found", cards(report.findings)),
        ("What could not be read", [tag("p", line, class_="mono") for line in report.problems]),
        ("vCPUs and their descriptors", [rows(report.vcpus)] if report.vcpus.rows else []),
        ("Lists of blocked vCPUs", [_chain(chain) for chain in report.chains]),
        ("Timeline", _timeline(report)),
        ("Interrupt-remapping tables", [part for table in report.tables for part in _remapping(table)]),
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


def cards(findings: Sequence[Explained]) -> list[Element]:
    """A card for each rule that is broken, the worst first."""
    together: dict[tuple[str, str], list[Explained]] = {}
    for finding in findings:
        together.setdefault((finding.severity, finding.rule), []).append(finding)
    return [_card(found) for found in together.values()]


def _card(found: Sequence[Explained]) -> Element:
    first = found[0]
    word = tag("span", f"{MARKS[first.severity]} {first.severity}", class_="word")
    return tag(
        "div",
        tag("strong", word, f" {first.rule} {first.name}"),
        *(tag("p", tag("strong", finding.subject), f" {finding.message}") for finding in found),
        tag("details", tag("summary", "What this means"), tag("p", first.explanation, class_="explanation")),
        class_=f"finding {first.severity}",
    )


def rows(table: Table) -> Element:
    """A table, which becomes cards on a narrow screen."""
    heads = [tag("th", name, class_=_class(table, name)) for name in table.columns]
    body = [
        tag(
            "tr",
            *(
                tag("td", cell, class_=_class(table, name, cell), data_label=name)
                for name, cell in zip(table.columns, row, strict=True)
            ),
        )
        for row in table.rows
    ]
    made = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="cards")
    return tag("div", made, class_="scroll")


def _class(table: Table, name: str, cell: str = "") -> str | None:
    kinds = {"numeric": name in table.numeric, "wide": name in WIDE, "none": cell == "-"}
    return " ".join(kind for kind, is_so in kinds.items() if is_so) or None


def _chain(chain: Chain) -> Element:
    links = [tag("li", tag("span", f"CPU {chain.cpu}: {chain.state}", class_="link head"))]
    for link in chain.links:
        name = tag("span", f"{link.name} {link.mark}".strip(), class_="link marked" if link.mark else "link")
        links.append(tag("li", tag("span", "\u2192", class_="arrow"), name))
    if chain.broken:
        broken = tag("strong", f"{MARKS['bug']} broken: {chain.broken}", class_="word")
        links.append(tag("li", tag("span", "\u2192", class_="arrow"), tag("span", broken, class_="bug")))
    elif chain.links:
        links.append(tag("li", tag("span", "\u21a9 back to the head", class_="arrow soft")))
    else:
        links.append(tag("li", tag("span", "empty", class_="soft")))
    return tag("ol", *links, class_="chain")


def _remapping(table: RemappingTable) -> list[Element]:
    posted = sum(entry.format == "posted" for entry in table.entries)
    counts = {"posted": posted, "remapped": len(table.entries) - posted}
    keys = [table_map.key(kind, f"{kind}: {count}") for kind, count in counts.items()]
    return [
        tag("h3", table.title),
        tag("p", *keys, table_map.key("free", "not present")),
        table_map.table_map(table),
        tag("details", tag("summary", f"The {len(table.entries)} entries"), rows(table.rows)),
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
        tag("div", timeline.timeline(report.hits, report.unit, report.vectors), class_="scroll timeline"),
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
