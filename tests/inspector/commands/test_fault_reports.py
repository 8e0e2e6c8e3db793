"""What `faults` shows of reports."""

from __future__ import annotations

from inspector.commands.fault_reports import blocks, device, kinds, messages
from inspector.model.answer import Table
from inspector.model.reports import FaultReport, Message
from inspector.model.snapshot import Snapshot

SNAPSHOT = Snapshot(
    "a log",
    faults=(FaultReport(1 << 16 | 0x300, 0x22, 0x1A, count=3, first="12:00:01", last="12:00:09"),),
    messages=(Message("no-handler", "CPU3: No irq handler for vector 62 (IRQ -1)", cpu=3, vector=0x62),),
)


def test_tables_and_document() -> None:
    faults, trouble = blocks(SNAPSHOT)
    assert isinstance(faults, Table)
    assert isinstance(trouble, Table)
    assert list(faults.rows[0])[:6] == ["3", "-", "0001:03:00.0", "-", "0x22", "interrupt, index 0x1a"]
    assert list(faults.rows[0])[8:10] == ["12:00:01", "12:00:09"]
    assert "route vector 0x62" in trouble.rows[0][-1]
    assert (kinds(SNAPSHOT)[0]["count"], messages(SNAPSHOT)[0]["vector"]) == (3, 0x62)
    assert blocks(Snapshot("a log")) == []


def test_a_device_with_its_segment() -> None:
    assert (device(0x300), device(1 << 16 | 0x300)) == ("03:00.0", "0001:03:00.0")
