"""Descriptors as such, what the machine as a whole is set to, and what its units' registers report."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.audit.evidence import described
from inspector.audit.rule import ANY, ANYTHING, DESCRIPTORS, IRTA, REGISTERS, WARNING, Found, rule
from inspector.model.snapshot import BLOCK, MARKER, Snapshot
from inspector.vtd.remapping import bdf
from structs.bits import Field
from structs.faults import REASONS
from structs.pi_desc import PI_DESC, ndst_reserved_bits
from structs.registers import BY_NAME

FSTS = BY_NAME["FSTS"].record
QUEUE_ERRORS = ("iqe", "ice", "ite")
STATUS = sum(field.mask for field in FSTS.fields if not field.reserved and field.name != "fri")
"""What of FSTS tells of trouble. FRI names a record only while PPF is set; later it keeps the last one's number."""


@rule("D14", "unknown-vector", "a notification vector that is neither of Xen's two", needs=(DESCRIPTORS,))
def unknown_vector(snapshot: Snapshot) -> Iterator[Found]:
    """NV is the notification vector or the wakeup vector; Xen allocates both at boot. Any other sends a device's
    interrupts to a handler that knows nothing of them.

    How it comes about: posting was switched on without posted-interrupt processing of the CPU, so no vector was ever
    allocated (fixed by commit e489eb6138, 4.10, in 4.9, 4.8.2 and 4.7.4); or it was left on with interrupt remapping
    off (commit 6c54663786, 4.13, in 4.10 to 4.12); or the descriptor was overwritten.

    Look next at: `info`; D17, which tells whether a posted entry leads to this descriptor.
    """
    vectors = {snapshot.posted_intr_vector, snapshot.pi_wakeup_vector} - {None, 0}
    names = {"notification": snapshot.posted_intr_vector, "wakeup": snapshot.pi_wakeup_vector}
    if snapshot.intpost and (missing := [name for name, vector in names.items() if vector == 0]):
        yield Found("machine", f"interrupt posting is on, but Xen has no {' and no '.join(missing)} vector")
    for vcpu, pi in described(snapshot):
        created_so = pi.nv == 0 and BLOCK not in vcpu.hooks
        if vectors and pi.nv not in vectors and not created_so:
            known = " or ".join(f"{vector:#x}" for vector in sorted(filter(None, vectors)))
            yield Found(vcpu.name, f"NV is {pi.nv:#x}; Xen uses {known}")


@rule("D15", "reserved-bits", "a descriptor has reserved bits set", needs=(DESCRIPTORS,))
def reserved_bits(snapshot: Snapshot) -> Iterator[Found]:
    """Hardware refuses to post to a descriptor with a reserved bit set and records fault 0x28. In xAPIC mode all of
    NDST but bits 15:8 is reserved.

    How it comes about: the memory was overwritten or is no descriptor; or NDST was written in x2APIC form.

    Look next at: `pi dXvY --bytes`, `faults`.
    """
    for vcpu, pi in described(snapshot):
        if pi.reserved:
            yield Found(vcpu.name, f"reserved bits are set: {', '.join(_set(pi.reserved))}; hardware refuses to post")
        elif snapshot.x2apic is False and pi.ndst != MARKER and (bits := ndst_reserved_bits(pi.ndst, False)):
            yield Found(vcpu.name, f"NDST {pi.ndst:#x} has bits {bits:#x} set, which are reserved in xAPIC mode")


@rule("D23", "vmcs-differs", "a VMCS leads to another vCPU's descriptor", severity=WARNING, needs=(DESCRIPTORS,))
def vmcs_differs(snapshot: Snapshot) -> Iterator[Found]:
    """The processor finds the descriptor through the VMCS (field 0x2016), the VT-d unit through the posted entry. They
    must be the same. Where a VMCS page keeps the field differs by processor, so this rule only sees that the page holds
    the address of another vCPU's descriptor and not its own.

    Look next at: Xen's debug key `v`, which prints VMCSs.
    """
    for vcpu, pi in described(snapshot):
        if vcpu.vmcs_pi is not None and vcpu.vmcs_pi != pi.address:
            other = snapshot.by_descriptor.get(vcpu.vmcs_pi)
            whose = f"{other.name}'s" if other else "an unknown"
            message = f"its VMCS holds {vcpu.vmcs_pi:#x}, {whose} descriptor, and not its own {pi.address:#x}"
            yield Found(vcpu.name, message)


@rule("D28", "not-readable", "a part of the state could not be read", severity=WARNING, needs=(ANYTHING,), linux=ANY)
def not_readable(snapshot: Snapshot) -> Iterator[Found]:
    """What cannot be read cannot be judged: other rules may be silent for that reason. Either the dump lacks it
    (dumps of a running machine, filtered or cut ones), or Xen's memory is corrupt and a pointer leads nowhere.
    """
    for problem in snapshot.problems:
        yield Found("machine", problem)


def _set(reserved: int) -> Iterator[str]:
    fields: list[Field] = [f for f in PI_DESC.fields if f.reserved and f.mask & reserved]
    return (f"{f.name}={f.extract(reserved):#x}" for f in fields)


@rule("D22", "apic-mode", "the unit and the kernel disagree about x2APIC", needs=(IRTA,), linux=ANY)
def apic_mode(snapshot: Snapshot) -> Iterator[Found]:
    """IRTA.EIME decides how hardware reads destinations (NDST, DST); Xen writes them by `x2apic_enabled`, Linux by
    `eim_mode`. If the two differ, interrupts go to wrong APIC IDs, or fault on reserved bits.

    Look next at: `regs`, `info`.
    """
    for unit in snapshot.units:
        if unit.origin == "IRTA" and snapshot.x2apic is not None and bool(unit.eime) != snapshot.x2apic:
            mode = "x2APIC" if snapshot.x2apic else "xAPIC"
            yield Found(unit.name, f"has EIME={unit.eime}, but {snapshot.host} is in {mode} mode")


@rule("D25", "hardware-trouble", "a unit reports trouble", severity=WARNING, needs=(REGISTERS,), linux=ANY)
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
            status = FSTS.values(unit.fsts)
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
