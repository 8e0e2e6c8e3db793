"""The VT-d units' registers."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.audit.needs import IRTA, REGISTERS
from inspector.audit.rule import WARNING, Found, rule
from inspector.model.snapshot import Snapshot
from inspector.vtd.remapping import bdf
from structs.faults import REASONS
from structs.registers import BY_NAME

FSTS = BY_NAME["FSTS"].record
QUEUE_ERRORS = ("iqe", "ice", "ite")
STATUS = sum(field.mask for field in FSTS.fields if not field.reserved and field.name != "fri")
"""What of FSTS tells of trouble. FRI names a record only while PPF is set; later it keeps the last one's number."""


@rule("D22", "apic-mode", "the unit and Xen disagree about x2APIC", needs=(IRTA,))
def apic_mode(snapshot: Snapshot) -> Iterator[Found]:
    """IRTA.EIME decides how hardware reads destinations (NDST, DST); Xen writes them by `x2apic_enabled`. If the two
    differ, interrupts go to wrong APIC IDs, or fault on reserved bits.

    Look next at: `regs`, `info`.
    """
    for unit in snapshot.units:
        if unit.origin == "IRTA" and snapshot.x2apic is not None and bool(unit.eime) != snapshot.x2apic:
            xen = "x2APIC" if snapshot.x2apic else "xAPIC"
            yield Found(unit.name, f"has EIME={unit.eime}, but Xen is in {xen} mode")


@rule("D25", "hardware-trouble", "a unit reports trouble", severity=WARNING, needs=(REGISTERS,))
def hardware_trouble(snapshot: Snapshot) -> Iterator[Found]:
    """The fault status is not clear, a fault record is pending, or the invalidation queue has not been worked off. An
    error of the queue stops it: stale entries may stay cached. A queue that is not empty is legal for an instant.

    Of a console log: what Xen reported there, and messages that found no handler, a wrong vector or a queue that hangs.

    Known bugs of the queue's kind: commits 7c893abc4e and cbfa62bb14 (4.16; XSA-373).

    Look next at: `faults`, `queue`, `regs`.
    """
    for unit in snapshot.units:
        subject = unit.name
        if unit.fsts and unit.fsts & STATUS:
            status = dict(FSTS.parse(unit.fsts.to_bytes(FSTS.size, "little")))
            errors = [name for name in QUEUE_ERRORS if status.get(name)]
            what = f"the invalidation queue has stopped ({', '.join(errors)})" if errors else "faults are recorded"
            yield Found(subject, f"FSTS is {unit.fsts:#x}: {what}")
        for fault in unit.faults:
            if fault.pending:
                reason = REASONS.get(fault.reason)
                words = f": {reason.text}" if reason else ""
                message = f"fault {fault.reason:#x} of {bdf(fault.sid)} is pending{words}"
                yield Found(subject, message)
        if unit.iqh is not None and unit.iqt is not None and unit.iqh != unit.iqt:
            message = f"the invalidation queue is not empty: head {unit.iqh:#x}, tail {unit.iqt:#x}"
            yield Found(subject, message, False, (unit.iqh, unit.iqt))
    for report in snapshot.faults:
        reason = None if report.reason is None else REASONS.get(report.reason)
        what = f"fault {report.reason:#x}" if report.reason is not None else "a fault whose reason is lost"
        where = f" at index {report.index:#x}" if report.index is not None else ""
        words = f": {reason.text}" if reason else ""
        times = f", {report.count} times" if report.count > 1 else ""
        yield Found(bdf(report.device & 0xFFFF), f"Xen reported {what}{where}{times}{words}")
    for told in snapshot.messages:
        times = f" ({told.count} times)" if told.count > 1 else ""
        yield Found("machine" if told.cpu is None else f"CPU {told.cpu}", f"Xen reported: {told.text}{times}")
