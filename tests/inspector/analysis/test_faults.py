"""Faults, joined with devices, owners and entries."""

from __future__ import annotations

from inspector.analysis.faults import faults
from inspector.model.interrupts import Device
from inspector.model.reports import FaultReport
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Fault, Platform, Structure, VtdUnit
from structs.faults import FRCD
from structs.irte import IRTE

ENTRY = bytes(IRTE.build({"p": 1, "vector": 0x62, "svt": 1, "sid": 0x300}))
UNIT = VtdUnit(0, 0, base=0, size=65536, indices=(0x18,), raw=ENTRY, platform=(Platform(3, 8, 0xF0F8),))


def test_a_report_with_owner_entry_and_advice() -> None:
    devices = (Device(0x300, 1, "d1"),)
    reports = (FaultReport(0x300, 0x22, 0x1A), FaultReport(0x300, 0x26, 0x18, count=5), FaultReport(0x400, 0x26, 0x18))
    often, freed, foreign = faults(Snapshot("a log", units=(UNIT,), devices=devices, faults=reports))
    assert (often.count, often.owner, often.entry) == (5, "d1", "remapped now, vector 0x62, for device 03:00.0")
    assert (freed.entry, freed.meaning) == ("not present now", "the IRTE is not present (P=0)")
    assert "Reset" in freed.advice
    assert foreign.entry == "remapped now, vector 0x62, for another source, device 03:00.0"


def test_a_blocked_message_of_an_ioapic_at_boot_is_harmless() -> None:
    (found,) = faults(Snapshot("a log", units=(UNIT,), faults=(FaultReport(0xF0F8, 0x25),)))
    assert (found.source, found.index) == ("IO-APIC id 8", None)
    assert "harmless" in found.advice


def test_dma_into_reserved_memory() -> None:
    report = FaultReport(0x10, 6, address=0x8E480000, read=True)
    rmrr = Structure("RMRR", 0x8E000000, 0x8EFFFFFF)
    (found,) = faults(Snapshot("a log", faults=(report,), described=(rmrr,)))
    assert "lies in an RMRR" in found.advice
    (found,) = faults(Snapshot("a log", faults=(report,)))
    assert "rmrr=" in found.advice


def test_a_unit_s_fault_records() -> None:
    raw = bytes(FRCD.build({"f": 1, "fr": 0x22, "sid": 0x300, "fi": 0x1A << 48}))
    unit = VtdUnit(2, 0, base=0, frcd=raw, faults=(Fault(0, 1, 0x22, 0x300, 0x1A << 48),))
    (found,) = faults(Snapshot("a machine", units=(unit,)))
    assert (found.unit, found.index, found.pending, found.reason) == (2, 0x1A, True, 0x22)


def test_a_lost_reason_is_told() -> None:
    (found,) = faults(Snapshot("a log", faults=(FaultReport(0x300, None, 0x1A),)))
    assert "lost" in found.meaning
