"""Each finding leads to what it is about, if the page shows it, and from there back."""

from __future__ import annotations

import pytest

from inspector.analysis.report import Chain, Entry, Explained, RemappingTable, Report
from inspector.audit.entries import subject
from inspector.model.answer import Table
from inspector.model.snapshot import VtdUnit
from inspector.views.html.links import NONE, Links, entry_name
from inspector.views.html.page import page

ROWS = [("0x1", "00:03.1 MSI-X irq 25"), ("0x18", "00:03.0 MSI-X irq 24, 00:03.0 MSI irq 2")]


def of(*subjects, severity="bug", message="message"):
    table = RemappingTable(
        "the first",
        64,
        [Entry(1, "posted", "x"), Entry(0x18, "posted", "x")],
        Table(("INDEX", "SOURCE"), ROWS),
        "unit 0",
    )
    return Report(
        "title",
        [],
        [Explained("D1", "name", severity, each, message, "text") for each in subjects],
        Table(("VCPU", "VERDICT"), [("d1v0", "ok"), ("d1v1", "ok")]),
        [Chain(3, "online", [])],
        [table],
    )


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("d1v1", "d1v1"),
        ("CPU 3", "CPU 3"),
        ("cpu 3", "CPU 3"),
        ("unit 0", "unit 0"),
        ("unit 0 entry 0x18", "unit 0 entry 0x18"),
        ("irq 24", "unit 0 entry 0x18"),
        ("irq 2", "unit 0 entry 0x18"),
        ("00:03.0", "unit 0 entry 0x18"),
    ],
)
def test_what_a_finding_is_about_has_an_anchor_and_leads_back(said, name):
    report = of("machine", said)
    links = Links.of(report)
    assert links.to(report.findings[-1]).get("href") == f"#{links.id(name)}" == "#about-1"
    assert [(link.get("href"), link.text) for link in links.back(name)] == [("#finding-1", "\u2716 D1 bug")]
    source = page(report)
    assert source.count('id="about-1"') == source.count('id="finding-1"') == 1


@pytest.mark.parametrize("said", ["machine", "d1v", "d1v10", "CPU 4", "unit 0 entry 0x2", "irq 5", "03.0", "irq", ""])
def test_what_the_page_does_not_show_is_no_link(said):
    report = of(said)
    links = Links.of(report)
    assert links.to(report.findings[-1]).tag == "span"
    assert not links.findings


def test_several_findings_about_one_thing_share_its_anchor():
    report = of("d1v0", "d1v1", "d1v0", severity="warning")
    links = Links.of(report)
    assert links.to(report.findings[0]).get("href") == "#about-0"
    assert [link.get("href") for link in links.back("d1v0")] == ["#finding-0", "#finding-2"]
    assert {link.get("class") for link in links.back("d1v0")} == {"warning"}


@pytest.mark.parametrize(
    ("subject", "index", "name"),
    [
        ("03:00.0", "0x18", "unit 0 entry 0x18"),
        ("00:03.0", "0x1", "unit 0 entry 0x1"),
        ("00:03.0", "0x19", "unit 0 entry 0x18"),
        ("03:00.0", "0x19", "unit 0"),
    ],
)
def test_a_reported_fault_leads_to_the_entry_that_it_names_or_to_the_table_that_lacks_it(subject, index, name):
    report = of(subject, message=f"Xen reported fault 0x22 at index {index}: the IRTE is not present (P=0)")
    links = Links.of(report)
    assert links.places[report.findings[0]] == name
    assert links.to(report.findings[0]).get("href") == "#about-0"
    assert page(report).count('id="about-0"') == 1


def test_entries_are_named_as_the_audit_names_them():
    unit = VtdUnit(0, 0xFED90000)
    assert entry_name(unit.name, 0x18) == subject(unit, 0x18)


def test_with_no_links_nothing_is_one():
    assert NONE.id("d1v0") is None
    assert NONE.to(of("d1v0").findings[0]).tag == "span"
    assert NONE.back("d1v0") == []
