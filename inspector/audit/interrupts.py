"""Interrupts as a whole, from the join of all that is known of each: held back, sent nowhere, refused, ignored."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.analysis.interrupt import IN_PROGRESS, PENDING, Interrupt
from inspector.analysis.irqs import destination_cpus, entry_at, interrupts_of_sources
from inspector.audit.rule import (
    ANY,
    CAPABILITIES,
    CPUS,
    ENTRIES,
    EVENTS,
    FAULTS,
    INFO,
    IRQS,
    SCOPES,
    WARNING,
    Found,
    rule,
)
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import IOAPIC
from inspector.vtd.remapping import bdf
from structs.faults import REASONS
from structs.ioapic import RTE

LOWEST_VECTOR = 0x10
"""Vectors below it are reserved: an interrupt with one is an error of the local APIC, and nobody takes it."""

FLOOD = 16
"""So many faults of one kind are no accident."""


@rule("D33", "held-back", "an irq is masked while something of it is in flight or pending", WARNING, needs=(IRQS,))
def held_back(snapshot: Snapshot) -> Iterator[Found]:
    """A guest has an interrupt that it has not ended, or an event of it is pending, and it is masked: at the pin, by
    Xen, by the guest, or as a pirq. Until that ends no other comes through.

    How it comes about: the guest's driver died between interrupt and EOI, or another domain shares the irq and holds
    it. For an instant it is legal: Xen masks a level irq while a guest handles it.

    So does an irq that Xen handles itself, if it was disabled and came again while its handler runs: before 4.22
    (commit b5edd9c58e) the handler is called once more.

    Look next at: `route irq N`; `irqs --pending`; a second log or snapshot: the same after a second is no instant.
    """
    for each in interrupts_of_sources(snapshot):
        waits = bool(each.in_flight) or any(guest.pending for guest in each.guests) or _comes_again(each)
        if each.irq is not None and waits and each.masks:
            message = f"{', '.join(each.pending)}, and it is masked ({', '.join(each.masks)})"
            yield Found(
                _name(each), f"{message} (a suspicion: it may be in progress)", False, (each.masks, each.pending)
            )


@rule(
    "D34",
    "lost-destination",
    "an entry sends to a CPU that is not online, or with a vector that nobody takes",
    needs=(ENTRIES,),
    linux=ANY,
)
def lost_destination(snapshot: Snapshot) -> Iterator[Found]:
    """A remapped entry names its vector and its CPU. A vector below 0x10 is an error at the local APIC that gets it; a
    message to a CPU that is not online goes nowhere. Entries of sources that are masked are not looked at: Xen leaves
    vector 0 in those of unused pins.

    How it comes about: affinities were not moved when a CPU went offline (`fixup_irqs`), or an entry is used that Xen
    never set up.

    Look next at: `route irte N`, `irqs --cpu N`; APIC errors on the console.
    """
    online = {cpu.cpu for cpu in snapshot.online}
    for each in interrupts_of_sources(snapshot):
        entry = each.entry
        if entry is None or entry["im"] or entry["dlm"] not in (0, 1) or not _may_fire(snapshot, each):
            continue
        place = f"unit {each.unit} entry {each.index:#x}"
        if entry["vector"] < LOWEST_VECTOR:
            yield Found(place, f"of {each.source} sends vector {entry['vector']:#x}, which no handler can have")
        cpus = destination_cpus(snapshot, each)
        if cpus is not None and online and not online & {*cpus}:
            where = f"CPU {', '.join(map(str, cpus))}, which is offline" if cpus else "an APIC that no CPU has"
            yield Found(place, f"of {each.source} sends to {where} (DST {entry['dst']:#x})")


@rule(
    "D35",
    "blocked-format",
    "a pin sends messages in compatibility format to a unit in x2APIC mode",
    WARNING,
    needs=(ENTRIES,),
    linux=ANY,
)
def blocked_format(snapshot: Snapshot) -> Iterator[Found]:
    """With EIME=1 a unit blocks interrupts in compatibility format and records fault 0x25. An IO-APIC's pin that is not
    masked and has such an entry raises one each time.

    How it comes about: firmware left the pin on and Xen does not use it; or the IO-APIC was reset after Xen set it up.

    Look next at: `ioapic`, `faults` (0x25).
    """
    if not snapshot.units or not all(unit.eime for unit in snapshot.units if unit.base is not None):
        return
    for ioapic in snapshot.ioapics:
        for pin, value in enumerate(ioapic.redirection):
            entry = RTE.values(value) if value is not None else None
            if entry and not entry["format"] and not entry["mask"]:
                yield Found(
                    f"IO-APIC {ioapic.number} pin {pin}", "is not masked, and its entry is in compatibility format"
                )


@rule(
    "D36",
    "foreign-source",
    "an entry allows another source than the DMAR table says",
    needs=(ENTRIES, SCOPES),
    linux=ANY,
)
def foreign_source(snapshot: Snapshot) -> Iterator[Found]:
    """The DMAR table's device scopes say as whom an IO-APIC's messages arrive. If the entries of its pins allow another
    source-id, each of its interrupts is a fault (0x26).

    How it comes about: firmware describes the IO-APIC wrongly, or Xen made the entry for another one.

    Look next at: `dmar`, `irte N`, `faults` (0x26).
    """
    for unit in snapshot.units:
        known = [at for at in unit.platform if at.kind == IOAPIC and at.enumeration_id is not None]
        listed = {at.enumeration_id: at.sid for at in known}
        for pin in snapshot.pins:
            sid = None if pin.id is None else listed.get(pin.id)
            entry = None if sid is None else entry_at(unit, pin.index)
            if sid is not None and entry and entry["svt"] == 1 and entry["sid"] != sid:
                message = (
                    f"of IO-APIC {pin.ioapic} pin {pin.pin} allows {bdf(entry['sid'])}, but it sends as {bdf(sid)}"
                )
                yield Found(f"{unit.name} entry {pin.index:#x}", message)


@rule("D37", "fault-flood", "a device faults again and again", WARNING, needs=(FAULTS,))
def fault_flood(snapshot: Snapshot) -> Iterator[Found]:
    """Each fault is an interrupt of its own and a line on the console; Xen turns a device off that makes too many.

    Look next at: `faults`, which says whose the device is and what to do.
    """
    for report in snapshot.faults:
        if report.count >= FLOOD:
            reason = None if report.reason is None else REASONS.get(report.reason)
            words = f": {reason.text}" if reason else ""
            code = "not known" if report.reason is None else f"{report.reason:#x}"
            yield Found(bdf(report.device & 0xFFFF), f"faulted {report.count} times, reason {code}{words}")


@rule("D38", "mixed-posting", "units differ in whether they can post", INFO, needs=(CAPABILITIES,))
def mixed_posting(snapshot: Snapshot) -> Iterator[Found]:
    """Xen posts only if every unit can (CAP.PI): with one that cannot, posting is off for all.

    Look next at: `info`, `regs`.
    """
    told = [unit for unit in snapshot.units if unit.cap_pi is not None]
    if len({unit.cap_pi for unit in told}) > 1:
        cannot = ", ".join(str(unit.index) for unit in told if not unit.cap_pi)
        yield Found("machine", f"unit {cannot} cannot post and others can: Xen posts nothing")


@rule("D39", "unheard-event", "a blocked vCPU has an event pending that it does not mask", needs=(EVENTS,))
def unheard_event(snapshot: Snapshot) -> Iterator[Found]:
    """A vCPU that waits in SCHEDOP_block is woken by any event that its upcall does not mask. If it stays blocked, the
    wake-up was lost.

    For an instant it is legal: between setting the bit and `vcpu_unblock`. So it is a suspicion.

    Look next at: a second answer to `q`, or a second snapshot; `vcpus dXvY`.
    """
    for vcpu in snapshot.vcpus:
        waits = vcpu.blocked and not vcpu.is_running and not vcpu.polling and not vcpu.pause_count
        if waits and vcpu.event_pending and vcpu.event_masked is False:
            message = (
                "is blocked with an event pending that it does not mask (a suspicion: it may be waking up just now)"
            )
            yield Found(vcpu.name, message, False, (vcpu.pause_flags, vcpu.cpu))


@rule("D40", "softirq-left", "a CPU in MWAIT or in a guest has a softirq that nothing makes it look at", needs=(CPUS,))
def softirq_left(snapshot: Snapshot) -> Iterator[Found]:
    """A CPU looks for softirqs before it goes idle and before it enters a guest. Who raises one later has to send it an
    interrupt, or, where the CPU says that it waits in MWAIT (`irq_stat[].in_mwait`), has stored to what it watches.
    With neither, the softirq waits for whatever happens to that CPU next, and with SCHEDULE all that are to run there.

    How it comes about: whether a CPU is in MWAIT was looked at before the softirq was set, and it had left (commit
    3faf0866a3, 4.21, also in 4.17 to 4.20); the last look before MWAIT was done with interrupts enabled (commit
    9b0f0f6e23, 4.21); a softirq's bit was taken for a notification on its way (4.7, 4.8: commit b151125b4d, 4.9).

    For an instant it is legal: while the interrupt is on its way, or the CPU wakes up. So it is a suspicion. Silent if
    the CPU's local APIC is not known, or has an interrupt pending.

    Look next at: `cpus`; a second snapshot (`audit --again 1`).
    """
    for cpu in snapshot.online:
        waits = cpu.in_mwait or cpu.in_guest
        if not waits or not cpu.softirqs or cpu.irr is None or cpu.irr:
            continue
        where = "waits in MWAIT" if cpu.in_mwait else "executes a guest"
        doubt = "it may be waking up just now" if cpu.in_mwait else "an interrupt for it may be on its way"
        message = f"{where} with softirqs pending ({cpu.softirqs:#x}), and no interrupt is (a suspicion: {doubt})"
        yield Found(f"CPU {cpu.cpu}", message, False, (cpu.softirqs, cpu.in_mwait, cpu.current, cpu.loaded))


def _comes_again(interrupt: Interrupt) -> bool:
    """Whether it came again while its handler runs."""
    status = interrupt.state.status if interrupt.state else None
    return status is not None and status & (IN_PROGRESS | PENDING) == IN_PROGRESS | PENDING


def _name(interrupt: Interrupt) -> str:
    return f"irq {interrupt.irq}"


def _may_fire(snapshot: Snapshot, interrupt: Interrupt) -> bool:
    """Whether its source is known, and known not to be masked."""
    if interrupt.pin is not None and interrupt.pin.mask is not None:
        return not interrupt.pin.mask and not _is_disabled(interrupt)
    return interrupt.msi is not None and interrupt.fires and not _is_disabled(interrupt)


def _is_disabled(interrupt: Interrupt) -> bool:
    return any(mask == "irq disabled" for mask in interrupt.masks)
