"""A history as one HTML page: its steps with the actors in columns, a timeline, and the audit's verdict."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from inspector.audit.explanation import explained
from inspector.explore.steps import Reading, Step, actors
from inspector.explore.table import FINDINGS, changes, groups, last, number, said, short, states
from inspector.explore.trace_events import hits, starts
from inspector.model.answer import Table
from inspector.trace.trace_event import STEPS
from inspector.views.html import page, timeline
from inspector.views.html.markup import tag

STYLE = """
table.steps td{white-space:normal;vertical-align:top;min-width:2.5rem}table.steps td.step{white-space:nowrap}
table.steps td.changes{min-width:17rem}table.steps td.words{min-width:13rem}table.steps p{margin:0}
table.steps tr.quiet td{color:var(--soft)}table.steps th{position:sticky;top:0;background:var(--card)}
table.steps summary{padding:0}table.steps ol{margin:.2rem 0;padding-left:1.2rem;list-style:none}
"""


def history(reading: Reading) -> str:
    """The page's source."""
    pairs = [("scenario", reading.title), ("version", reading.version), ("steps", str(len(reading.steps)))]
    pairs += [(name, text) for name, text in (("why", reading.why), ("crash", reading.crashed)) if text]
    findings = [explained(finding) for finding in reading.lasting or reading.findings]
    started = states("", reading.before, reading.situations)
    ended = states("", reading.after, last(reading))
    sections = (
        ("Before the first step", [page.rows(started)]),
        ("Steps", [_steps(reading)]),
        ("After the last step", [page.rows(ended)]),
        ("What the audit found" + _when(reading), page.cards(findings)),
        ("What the audit found on the way", _fired(reading)),
        ("Timeline", _timeline(reading)),
    )
    title = f"A history: {reading.property}" if reading.property else "A history"
    return page.whole(title, [page.verdict(findings), page.facts(pairs)], sections, STYLE)


def _when(reading: Reading) -> str:
    if not reading.lasting:
        return " after the last step"
    return f" when the machine is at rest, {reading.later} steps later" if reading.later else ", the machine at rest"


def _steps(reading: Reading) -> Element:
    columns = actors(reading)
    heads = [tag("th", "STEP"), *(tag("th", short(actor)) for actor in columns), tag("th", "CHANGES")]
    made = tag("table", tag("thead", tag("tr", *heads)), class_="steps")
    body = tag("tbody")
    for group in groups(reading.steps):
        body.append(_row(reading, group, columns))
    made.append(body)
    return page.scroll(made, "Steps")


def _row(reading: Reading, group: Sequence[Step], columns: Sequence[str]) -> Element:
    seen = [tag("p", line) for line in changes(reading, group)]
    cells = (
        tag("td", *([_words(group)] if actor == group[0].actor else []), class_="words" if len(columns) < 6 else None)
        for actor in columns
    )
    quiet = None if group[0].visible else "quiet"
    return tag("tr", tag("td", number(group), class_="step"), *cells, tag("td", *seen, class_="changes"), class_=quiet)


def _words(group: Sequence[Step]) -> Element:
    if len(group) == 1:
        return tag("p", said(group))
    lines = (tag("li", f"{step.number} {said([step])}") for step in group)
    return tag("details", tag("summary", said(group)), tag("ol", *lines))


def _fired(reading: Reading) -> list[Element]:
    lines = [
        (str(step), finding.severity, finding.rule, finding.subject, finding.message)
        for step, finding in reading.fired or ()
    ]
    return [page.rows(Table(("STEP", *FINDINGS), lines))] if lines else []


def _timeline(reading: Reading) -> list[Element]:
    found = hits(reading)
    if not any(hit.changes for hit in found):
        return []
    vectors = (reading.after.posted_intr_vector, reading.after.pi_wakeup_vector)
    drawing = timeline.timeline([*starts(reading), *found], STEPS, vectors)
    return [page.timeline_keys(), page.scroll(drawing, "Timeline", "timeline")]
