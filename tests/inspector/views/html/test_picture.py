"""A report as a picture: all that it says is in it, nothing else is, and it is as large as what is drawn."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from inspector.analysis.report import Chain, Entry, Explained, Link, RemappingTable, Report
from inspector.model.answer import Table
from inspector.views.html.picture import LINE, SHOWN, WIDTH, picture

SVG = "{http://www.w3.org/2000/svg}"
EMPTY = Report("a machine", (), (), Table(("VCPU", "PIR"), ()), (), ())
HOSTILE = "</text><script>alert(1)</script>\x1b[31m\x00&"


def drawn(report: Report) -> tuple[ElementTree.Element, list[ElementTree.Element]]:
    """The picture, and its lines of text."""
    root = ElementTree.fromstring(picture(report))
    assert root.tag == f"{SVG}svg"
    return root, list(root.iter(f"{SVG}text"))


def words(report: Report) -> list[str]:
    return ["".join(text.itertext()) for text in drawn(report)[1]]


def finding(number: int = 1, severity: str = "bug", message: str = "is wrong") -> Explained:
    return Explained(f"D{number}", "a-rule", severity, f"d1v{number}", message, "why")


def test_where_nothing_is_wrong_and_nothing_there():
    assert words(EMPTY) == ["a machine", "the audit finds nothing"]


def test_findings_by_severity():
    report = replace(EMPTY, findings=[finding(1), finding(2, "warning"), finding(3, "info")])
    lines = drawn(report)[1][1:]
    assert ["".join(line.itertext()) for line in lines] == [
        "bug D1 d1v1: is wrong",
        "warning D2 d1v2: is wrong",
        "info D3 d1v3: is wrong",
    ]
    assert [line.get("class") for line in lines] == ["alarm", "caution", None]


@pytest.mark.parametrize("count", [SHOWN, SHOWN + 1, SHOWN + 23])
def test_what_is_too_much_to_draw_is_counted(count):
    """A picture that leaves something out says so."""
    more = [f"and {count - SHOWN} more"] if count > SHOWN else []
    findings = words(replace(EMPTY, findings=[finding(number) for number in range(count)]))
    assert len(findings) == 1 + SHOWN + len(more)
    assert findings[-1:] == more or not more
    rows = [(f"d1v{number}", "52") for number in range(count)]
    vcpus = words(replace(EMPTY, vcpus=Table(("VCPU", "PIR"), rows)))
    assert vcpus[-1:] == more or vcpus[-2:] == ["d1v99", "52"]
    chains = words(replace(EMPTY, chains=[Chain(number, "online", ()) for number in range(count)]))
    assert chains[-1:] == more or chains[-1] == "CPU 99 (online): head, empty"


def test_lists_of_blocked_vcpus():
    chains = [
        Chain(0, "online, lock free", [Link("d1v0", "ON"), Link("d1v1")]),
        Chain(1, "online, lock held", ()),
        Chain(2, "offline", [Link("0x1000")], "it leads to 0x44"),
    ]
    lines = drawn(replace(EMPTY, chains=chains))[1][-4:]
    assert ["".join(line.itertext()) for line in lines] == [
        "LISTS OF BLOCKED VCPUS",
        "CPU 0 (online, lock free): head \u2192 d1v0 ON \u2192 d1v1 \u21a9",
        "CPU 1 (online, lock held): head, empty",
        "CPU 2 (offline): head \u2192 0x1000 \u2192 BROKEN: it leads to 0x44",
    ]
    assert [line.get("class") for line in lines] == ["head", None, None, "alarm"]


def test_columns_are_as_wide_as_what_is_in_them():
    table = Table(("VCPU", "PIR"), [("d1v0", "52"), ("d10v100", "31 52 61")])
    lines = drawn(replace(EMPTY, vcpus=table))[1][2:]
    places = [(float(line.get("x")), int(line.get("y"))) for line in lines]
    assert len({y for _, y in places}) == 3
    assert len({x for x, _ in places}) == 2
    (left, right) = sorted({x for x, _ in places})
    assert right - left > len("d10v100") * 6
    assert [line.get("class") for line in lines] == ["head", "head", None, None, None, None]


def test_a_map_of_each_table():
    entries = [Entry(0, "posted", "x"), Entry(70, "remapped", "y"), Entry(71, "remapped", "y")]
    report = replace(EMPTY, tables=[RemappingTable("unit 0", 256, entries, Table((), ()))])
    root, _ = drawn(report)
    assert "unit 0 (1 with a dot: posted; 2 with a bar: remapped)" in words(report)
    (group,) = (part for part in root.iter(f"{SVG}g") if part.get("transform", "").startswith("translate(16 "))
    titles = [title.text for title in group.iter(f"{SVG}title")]
    assert len([title for title in titles if "not present" not in title]) == 3


@pytest.mark.parametrize("length", [10, 500])
def test_a_line_ends_within_the_picture_and_the_picture_below_the_last_line(length):
    report = replace(EMPTY, title="x" * length, findings=[finding(message="y" * length)] * 5)
    root, lines = drawn(report)
    width, height = int(root.get("width")), int(root.get("height"))
    assert root.get("viewBox") == f"0 0 {width} {height}"
    assert width == WIDTH
    for line in lines:
        text = "".join(line.itertext())
        assert float(line.get("x")) + len(text) * 6.7 <= width
        assert text.endswith("\u2026") == (length == 500)
    assert max(int(line.get("y")) for line in lines) + LINE <= height


def test_what_a_machine_says_is_only_text():
    table = Table((HOSTILE,), [(HOSTILE,)])
    report = Report(HOSTILE, (), [finding(message=HOSTILE)], table, [Chain(0, HOSTILE, [Link(HOSTILE)], HOSTILE)], ())
    root, _ = drawn(report)
    assert {part.tag.removeprefix(SVG) for part in root.iter()} == {"svg", "title", "style", "rect", "text"}
    assert "\x1b" not in picture(report)
