"""Looks without a terminal: all at the first, then what changed."""

from __future__ import annotations

from inspector.audit.rule import Finding
from inspector.model.snapshot import Snapshot
from inspector.watch.lines import lines
from inspector.watch.looks import COLUMNS, Row, Seen

CELLS = ("d1v0", "running", "0", "31", "1", "0", "f1 notify", "CPU 0", "-", "S1 running in the guest")
SAME = (False,) * len(COLUMNS)
FINDING = Finding("D5", "bug", "d1v0", "stranded")


def seen(number=2, changed=SAME, **fields):
    values = {"lists": (("CPU 0: empty", False),), "findings": (), "fresh": (), "stopped": None, **fields}
    return Seen(number, Snapshot(target="t"), (Row(CELLS, changed, (), ()),), **values)


def test_the_first_look_shows_every_vcpu():
    head, row = lines(seen(1))
    assert head == "look 1: 1 vCPUs, 0 changed, 0 findings"
    assert row.startswith("  d1v0: STATE running, CPU 0, PIR 31, ON 1")


def test_later_ones_only_what_changed():
    assert list(lines(seen())) == ["look 2: 1 vCPUs, 0 changed, 0 findings"]
    changed = tuple(name in ("ON", "LIST") for name in COLUMNS)
    assert list(lines(seen(changed=changed)))[1:] == ["  d1v0: ON 1, LIST -"]


def test_lists_and_findings_are_told_when_they_are_new():
    told = list(lines(seen(lists=(("CPU 0: d1v0", True), ("CPU 1: empty", False)), findings=(FINDING,) * 2)))
    assert told == ["look 2: 1 vCPUs, 0 changed, 2 findings", "  list of CPU 0: d1v0"]
    assert list(lines(seen(findings=(FINDING,), fresh=(FINDING,))))[-1] == "  bug D5 d1v0: stranded"


def test_how_long_the_guest_stood_still():
    assert next(lines(seen(stopped=0.01234))).endswith(", guest stopped 12.3 ms")


def test_a_text_of_the_target_stays_on_its_line():
    (_, row) = lines(seen(lists=(("CPU 0: a\nb\x1b[31m", True),)))
    assert "\n" not in row
    assert "\x1b" not in row
