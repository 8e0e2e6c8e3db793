"""A report as a page and as a picture: all there, nothing from elsewhere, and no text that could be more than text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from inspector.analysis.report import Chain, Entry, Explained, Link, RemappingTable, Report
from inspector.model.answer import Table
from inspector.trace.trace_event import STEPS, WRITE, TraceEvent
from inspector.views.html.page import page
from inspector.views.html.picture import picture

PASSTHROUGH = Path(__file__).parents[4] / "docs" / "examples" / "passthrough.log"
HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\x1b[31m\u202e\ud800"


def hostile_report():
    table = Table(("VCPU", "VERDICT"), [(HOSTILE, HOSTILE)])
    return Report(
        title=HOSTILE,
        facts=[(HOSTILE, HOSTILE)],
        findings=[Explained("D5", HOSTILE, "bug", HOSTILE, HOSTILE, HOSTILE)],
        vcpus=table,
        chains=[Chain(0, HOSTILE, [Link(HOSTILE, HOSTILE)], HOSTILE)],
        tables=[RemappingTable(HOSTILE, 65536, [Entry(65535, "posted", HOSTILE), Entry(0, "remapped", "x")], table)],
        problems=[HOSTILE],
        hits=[TraceEvent(5, WRITE, 1, HOSTILE, "d1v0", {"pir": ((), (0x31,)), "on": (0, 1)})],
        unit=STEPS,
    )


@pytest.mark.thorough
def test_a_page_holds_no_element_that_a_text_brought(browse, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(page(hostile_report()), encoding="utf-8")
    dom, console = browse(path)
    assert not console
    assert "<script" not in dom
    assert "<img" not in dom
    assert dom.count("onerror=alert(2)&gt;") > 10


@pytest.mark.parametrize("make", [page, picture])
def test_it_loads_nothing(make):
    source = make(hostile_report())
    assert "\x00" not in source
    assert "\u202e" not in source
    source.encode()
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:)\w+:", source.replace("src=x", ""))
    assert set(re.findall(r"https?://[^\"'<> ]*", source)) <= {"http://www.w3.org/2000/svg"}


def test_a_picture_is_xml():
    root = ElementTree.fromstring(picture(hostile_report()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_map_has_a_cell_for_each_entry_up_to_the_last_and_few_of_them():
    report = hostile_report()
    entries = [Entry(index, "posted" if index % 3 else "remapped", f"{index:04x} words") for index in range(0, 1000, 7)]
    source = page(replace(report, tables=[replace(report.tables[0], entries=entries)]))
    assert source.count("words</title>") == len(entries)
    assert source.count(": not present</title>") == 1024 - len(entries)
    far = page(report)
    assert "entries 0xffc0 to 0xffff, 1 present" in far
    assert far.count("<title>") < 1100


@pytest.mark.thorough
@pytest.mark.parametrize("width", [390, 1200])
def test_a_real_capture_as_a_page(run, golden, browse, tmp_path, width):
    path = tmp_path / "lost.html"
    ran = run("dump", golden("lost-wakeup"), "report", path, "--json")
    assert ran.status == 0
    said = {"file": str(path), "size": len(path.read_bytes()), "finding_count": 1}
    assert ran.json == {"schema": "vtdpi/report/3", **said}
    dom, console = browse(path, width)
    assert not console
    for text in ("1 bug", "D5 stranded-vector", "d1v2 PIR 0x52", "0x27bdb680", "How it comes about"):
        assert text in dom


def test_a_simulated_machine_as_a_page_and_a_picture(run, tmp_path):
    at = ("sim", "--scenario", "wakeup-storm", "--steps", 5000, "report")
    assert run(*at, tmp_path / "page.html").status == 0
    assert run(*at, tmp_path / "picture.svg", "--svg").status == 0
    for name in ("page.html", "picture.svg"):
        source = (tmp_path / name).read_text()
        assert source.count('class="hole"') >= 36
        assert "d2v5" in source


@pytest.mark.thorough
def test_a_simulated_run_has_a_timeline(run, browse, tmp_path):
    path = tmp_path / "run.html"
    assert run("sim", "--scenario", "wakeup-storm", "report", path, "--run", 200).status == 0
    dom, console = browse(path, 390)
    assert not console
    assert dom.count('class="mark"') > 20
    assert "d2v5" in dom


def links_and_anchors(source):
    anchors = re.findall(r'\bid="([^"]*)"', source)
    assert len(anchors) == len(set(anchors))
    return set(re.findall(r'href="#([^"]*)"', source)), set(anchors)


def test_a_finding_leads_to_its_row_and_the_row_back(run, golden, tmp_path):
    path = tmp_path / "lost.html"
    assert "7 vCPUs and 1 finding reported" in run("dump", golden("lost-wakeup"), "report", path).out
    source = path.read_text()
    links, anchors = links_and_anchors(source)
    assert links == anchors == {"about-0", "finding-0"}
    assert '<p id="finding-0"><strong><a href="#about-0">d1v2</a></strong> is blocked' in source
    row = re.search(r'<tr id="about-0">.*?</tr>', source)
    assert row
    assert ">d1v2</td>" in row[0]
    assert 'data-label="VERDICT"><a href="#finding-0" class="bug">\u2716 D5 bug</a></td>' in row[0]


def test_a_finding_of_a_log_leads_to_the_entry_its_irq_uses(run, tmp_path):
    path = tmp_path / "log.html"
    assert run("dump", PASSTHROUGH, "report", path).status == 0
    source = path.read_text()
    links, anchors = links_and_anchors(source)
    assert links <= anchors
    assert '<a href="#about-1">irq 25</a>' in source
    assert re.search(
        r'<tr id="about-1"><td [^>]*>0x18 <a href="#finding-1" class="warning">\u25b2 D33 warning</a>', source
    )


def test_what_scrolls_can_be_scrolled_with_the_keyboard_and_has_a_name(run, tmp_path):
    path = tmp_path / "run.html"
    assert run("sim", "--scenario", "wakeup-storm", "report", path, "--run", 50).status == 0
    parts = re.findall(r'<div class="scroll[^>]*>', path.read_text())
    assert len(parts) == 5
    for part in parts:
        assert 'tabindex="0"' in part
        assert re.search(r'role="region" aria-label="[^"]+"', part)


def test_an_explanation_breaks_where_the_page_needs_it():
    report = hostile_report()
    source = page(replace(report, findings=[replace(report.findings[0], explanation="One\nline.\n\nTwo:\n  a table")]))
    assert '<p class="explanation">One line.</p><p class="explanation">Two:\n  a table</p>' in source


@pytest.mark.thorough
def test_on_paper_all_details_are_open(run, golden, chromium, tmp_path):
    path, opened = tmp_path / "lost.html", tmp_path / "opened.html"
    assert run("dump", golden("lost-wakeup"), "report", path).status == 0
    source = path.read_text()
    opened.write_text(source.replace("<details>", "<details open>"))
    closed = tmp_path / "closed.html"
    closed.write_text(source.replace("details::details-content", "details::nothing"))
    sizes = {}
    for page_of in (path, opened, closed):
        pdf = page_of.with_suffix(".pdf")
        chromium(page_of, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
        sizes[page_of] = len(pdf.read_bytes())
    assert sizes[closed] < sizes[path]
    assert abs(sizes[path] - sizes[opened]) * 10 < sizes[path] - sizes[closed]


def test_a_file_that_cannot_be_written_or_is_no_trace_is_told(run, tmp_path):
    ran = run("sim", "report", tmp_path / "no" / "such.html")
    assert ran.status == 2
    assert "cannot be written" in ran.err
    (tmp_path / "trace").write_text("{}\n")
    ran = run("sim", "report", tmp_path / "a.html", "--trace", tmp_path / "trace")
    assert ran.status == 3
    assert "is no trace" in ran.err
