"""Faults of VT-d units, joined: who faulted, whose it is, what its entry is now, what the reason means, what to do.

From Xen's console (`snapshot.faults`) or from the units' fault records (FRCD).
"""

from __future__ import annotations

from collections.abc import Iterator

from inspector.analysis.interrupt import Entry
from inspector.analysis.irqs import entry_at, owners
from inspector.analysis.sources import InterruptSources
from inspector.model.reports import FaultReport
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import VtdUnit
from structs.faults import BLOCKED_COMPATIBILITY, FRCD, INTERRUPT_REASONS, REASONS, interrupt_index
from structs.frozen import frozen
from structs.irte import source_matches

READ, WRITE = 5, 6
"""DMA fault reasons: no permission to write (5), to read (6)."""

ADVICE = {
    0x20: "somebody other than Xen wrote the device's message or redirection entry; look at `ioapic`, `irqs --device`",
    0x21: "the device's message was never made by this Xen, or is from before a reset; reset the device",
    0x22: "the device still uses an entry that was freed; was it taken from a guest, or its driver unloaded? Reset it",
    0x23: "the table's address is wrong: look at `regs` (IRTA)",
    0x24: "look at the entry bit by bit (`irte N`), and at `audit D19`",
    0x25: "a message from before Xen set the device up, or an HPET or IO-APIC that firmware left on; once at boot is "
    "harmless, else the device was reset behind Xen's back",
    0x26: "another source-id arrives than the entry allows: a bridge or phantom function (`pci-phantom=`), or a DMAR "
    "scope that is wrong; compare `irte N` with the device and with `dmar`",
    0x27: "the entry is posted to memory that is not there: look at `audit D17`, `irte N`",
    0x28: "the entry is posted to memory that is no descriptor: look at `audit D17`, `irte N`",
    0x02: "the device is in no domain's table: was it hidden, or is it behind a bridge that is not assigned with it?",
}
DMA_ADVICE = (
    "the device reaches memory that its domain did not give it: a driver's bug, or firmware that uses reserved memory"
    " without an RMRR (`rmrr=`)"
)


@frozen
class Fault:
    """One kind of fault.

    Attributes:
        unit: which unit, None where Xen does not say.
        device: who asked: seg << 16 | bus << 8 | devfn; `source` in words, where more is known than that.
        owner: who has it: `d1`.
        reason: None if it is lost; `meaning` in words.
        index, address: of an interrupt's entry, of DMA; `read` if it was one.
        entry: what that entry is now, in words.
        count, first, last: how often and when; empty times are not known.
        pending: of a fault record, whether it is still set; None for a message.
        advice: what to do.
    """

    unit: int | None
    device: int
    source: str
    owner: str | None
    reason: int | None
    meaning: str
    index: int | None
    address: int | None
    read: bool | None
    entry: str
    count: int
    first: str
    last: str
    pending: bool | None
    advice: str


def faults(snapshot: Snapshot) -> list[Fault]:
    """Every kind of fault that the snapshot tells of, the most frequent first."""
    found = [*_of_console(snapshot), *_of_records(snapshot)]
    return sorted(found, key=lambda fault: -fault.count)


def _of_console(snapshot: Snapshot) -> Iterator[Fault]:
    for report in snapshot.faults:
        yield _made(snapshot, report, None)


def _of_records(snapshot: Snapshot) -> Iterator[Fault]:
    for unit in snapshot.units:
        for at, record in enumerate(unit.faults):
            raw = unit.frcd[record.record * FRCD.size : (record.record + 1) * FRCD.size]
            fields = FRCD.parse(raw) if len(raw) == FRCD.size else {"fr": record.reason, "fi": record.info, "t1": 0}
            index = interrupt_index({**fields, "fr": record.reason, "fi": record.info})
            interrupt = record.reason in INTERRUPT_REASONS
            report = FaultReport(
                unit.segment << 16 | record.sid,
                record.reason,
                index,
                None if interrupt else record.info,
                None if interrupt else bool(fields["t1"]),
                unit.index,
                line=at,
            )
            yield _made(snapshot, report, bool(record.pending))


def _made(snapshot: Snapshot, report: FaultReport, pending: bool | None) -> Fault:
    reason = None if report.reason is None else REASONS.get(report.reason)
    lost = "the line with the reason is lost" if report.reason is None else "no reason known here"
    return Fault(
        unit=report.unit,
        device=report.device,
        source=_source(snapshot, report),
        owner=owners(snapshot).get(report.device),
        reason=report.reason,
        meaning=reason.text if reason else lost,
        index=report.index,
        address=report.address,
        read=report.read,
        entry=_entry(snapshot, report),
        count=report.count,
        first=report.first,
        last=report.last,
        pending=pending,
        advice=_advice(snapshot, report),
    )


def _source(snapshot: Snapshot, report: FaultReport) -> str:
    """An IO-APIC or timer, as the units' scopes name it by its source-id."""
    kinds = {3: "IO-APIC", 4: "HPET"}
    for unit in _units(snapshot, report):
        for at in unit.platform:
            if at.kind in kinds and at.sid == report.device & 0xFFFF and unit.segment == report.device >> 16:
                number = "" if at.enumeration_id is None else f" {'id ' if at.kind == 3 else ''}{at.enumeration_id}"
                return kinds[at.kind] + number
    return ""


def _units(snapshot: Snapshot, report: FaultReport) -> list[VtdUnit]:
    return [unit for unit in snapshot.units if report.unit in (None, unit.index)]


def _found(snapshot: Snapshot, report: FaultReport) -> list[tuple[VtdUnit, Entry]]:
    """The entries of that index in the units that may have reported it."""
    if report.index is None:
        return []
    units = [unit for unit in _units(snapshot, report) if unit.base is not None]
    return [(unit, entry) for unit in units if (entry := entry_at(unit, report.index))]


def _entry(snapshot: Snapshot, report: FaultReport) -> str:
    if report.index is None:
        return ""
    if not any(unit.base is not None for unit in _units(snapshot, report)):
        return "not known"
    found = _found(snapshot, report)
    own = [(unit, entry) for unit, entry in found if source_matches(entry, report.device & 0xFFFF)]
    if not found:
        return "not present now"
    unit, entry = (own or found)[0]
    source = InterruptSources(snapshot).of(unit, entry)
    what = "posted" if entry["im"] else "remapped"
    whose = f"for {source}" if own else f"for another source, {source}"
    return f"{what} now, vector {entry['vector']:#x}, {whose}"


def _advice(snapshot: Snapshot, report: FaultReport) -> str:
    if report.reason is None:
        return "look for its second line in the log"
    if report.reason == BLOCKED_COMPATIBILITY and report.count == 1 and _source(snapshot, report):
        return f"{_source(snapshot, report)} sent a message that firmware had set up; once at boot is harmless"
    if report.address is not None and (inside := _reserved(snapshot, report.address)):
        return inside
    if report.reason in ADVICE:
        return ADVICE[report.reason]
    return DMA_ADVICE if report.reason in (READ, WRITE) else "see the VT-d specification, 7.1.3"


def _reserved(snapshot: Snapshot, address: int) -> str:
    for structure in snapshot.described:
        base, limit = structure.base, structure.limit
        if structure.kind == "RMRR" and base is not None and limit is not None and base <= address <= limit:
            return f"the address lies in an RMRR ({base:#x}-{limit:#x}): is the device in its scope?"
    return ""
