"""A report as one SVG picture, for a bug report: findings, vCPUs with their descriptors, lists, tables as maps."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from inspector.analysis.report import Report
from inspector.views.html import style
from inspector.views.html.markup import tag, xml
from inspector.views.html.table_map import table_map

WIDTH, MARGIN, LINE = 1120, 16, 18
CHARACTER = 6.7
SHOWN = 100
FONT = 'text{font-family:ui-monospace,"DejaVu Sans Mono",Consolas,monospace;fill:var(--text);font-size:11px}'
HEADS = "text.head{fill:var(--soft)}text.title{font-size:15px;font-weight:bold}text.alarm{fill:var(--bug)}"
CAUTION = "text.caution{fill:var(--warning)}"


class _Sheet:
    """Lines from the top down."""

    def __init__(self) -> None:
        self.parts: list[Element] = []
        self.y = MARGIN + 10

    def line(self, words: str, x: float = MARGIN, kind: str | None = None, whole: bool = True) -> None:
        fits = int((WIDTH - MARGIN - x) / CHARACTER)
        shown = words if len(words) <= fits else words[: fits - 1] + "\u2026"
        self.parts.append(tag("text", shown, x=f"{x:.0f}", y=self.y, class_=kind))
        self.y += LINE if whole else 0

    def head(self, words: str) -> None:
        self.y += LINE // 2
        self.line(words, kind="head")

    def more(self, count: int) -> None:
        """Say that not all of these were drawn, if so."""
        if count > SHOWN:
            self.line(f"and {count - SHOWN} more")


def picture(report: Report) -> str:
    """The picture's source."""
    sheet = _Sheet()
    sheet.line(report.title, kind="title")
    sheet.y += 4
    for finding in report.findings[:SHOWN]:
        kind = {"bug": "alarm", "warning": "caution"}.get(finding.severity)
        sheet.line(f"{finding.severity} {finding.rule} {finding.subject}: {finding.message}", kind=kind)
    sheet.more(len(report.findings))
    if not report.findings:
        sheet.line("the audit finds nothing")
    _vcpus(sheet, report)
    if report.chains:
        sheet.head("LISTS OF BLOCKED VCPUS")
    for chain in report.chains[:SHOWN]:
        links = " \u2192 ".join(["head", *(f"{link.name} {link.mark}".strip() for link in chain.links)])
        end = f" \u2192 BROKEN: {chain.broken}" if chain.broken else " \u21a9" if chain.links else ", empty"
        sheet.line(f"CPU {chain.cpu} ({chain.state}): {links}{end}", kind="alarm" if chain.broken else None)
    sheet.more(len(report.chains))
    for table in report.tables:
        posted = sum(entry.format == "posted" for entry in table.entries)
        sheet.head(f"{table.title} ({posted} with a dot: posted; {len(table.entries) - posted} with a bar: remapped)")
        drawing = table_map(table)
        height = int(str(drawing.get("viewBox")).split()[3])
        sheet.parts.append(tag("g", *drawing, transform=f"translate({MARGIN} {sheet.y - 10})"))
        sheet.y += height + 4
    height = sheet.y + MARGIN
    root = tag(
        "svg",
        tag("title", report.title),
        tag("style", style.PALETTE + style.DRAWING + FONT + HEADS + CAUTION),
        tag("rect", width=WIDTH, height=height, class_="paper"),
        *sheet.parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
    )
    return xml(root)


def _vcpus(sheet: _Sheet, report: Report) -> None:
    """The table of vCPUs, each column as wide as it must be."""
    table = report.vcpus
    if not table.rows:
        return
    sheet.y += LINE // 2
    rows = [table.columns, *table.rows[:SHOWN]]
    places, x = [], float(MARGIN)
    for column in zip(*rows, strict=True):
        places.append(x)
        x += (max(map(len, column)) + 2) * CHARACTER
    for number, row in enumerate(rows):
        for place, cell in zip(places, row, strict=True):
            sheet.line(cell, place, None if number else "head", whole=False)
        sheet.y += LINE
    sheet.more(len(table.rows))
