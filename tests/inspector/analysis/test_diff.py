"""Differences: exactly the fields that changed, of vCPUs and of entries."""

from __future__ import annotations

from dataclasses import replace

from inspector.analysis.diff import Change, diff, not_told
from inspector.model.absence import NOT_PRINTED, Absence
from inspector.model.interrupts import Guest, Irq, Msi, Redirection
from inspector.model.snapshot import Descriptor, Snapshot, Vcpu
from inspector.model.vtd import VtdUnit
from structs.irte import POSTED, REMAPPED

ENTRY = {"p": 1, "vector": 0x40, "sid": 0x18, "svt": 1}


def machine(*entries: bytes) -> Snapshot:
    """A vCPU and a unit with these entries, from index 0x18 on."""
    vcpu = Vcpu(1, 0, hvm=True, cpu=0, pi=Descriptor(0x1000, (0x31,), on=0, sn=0, nv=0xF2, ndst=0))
    indices = tuple(range(0x18, 0x18 + len(entries)))
    return Snapshot("a machine", vcpus=(vcpu,), units=(VtdUnit(0, 0, indices=indices, raw=b"".join(entries)),))


def test_nothing_changed() -> None:
    snapshot = machine(REMAPPED.build(ENTRY))
    assert diff(snapshot, replace(snapshot, target="another place")) == []


def test_the_fields_of_a_descriptor() -> None:
    before = machine()
    vcpu = before.vcpus[0]
    assert vcpu.pi
    after = replace(before, vcpus=(replace(vcpu, cpu=1, pi=replace(vcpu.pi, on=1, pir=(0x31, 0x52))),))
    assert diff(before, after) == [
        Change("d1v0", "cpu", 0, 1),
        Change("d1v0", "pi.pir", [0x31], [0x31, 0x52]),
        Change("d1v0", "pi.on", 0, 1),
    ]


def test_the_fields_of_an_entry() -> None:
    same, old, new = (REMAPPED.build({**ENTRY, "vector": vector}) for vector in (0x40, 0x50, 0x60))
    assert diff(machine(same, old), machine(same, new)) == [Change("unit 0 entry 0x19", "vector", 0x50, 0x60)]
    posted = POSTED.build({**ENTRY, "im": 1, "pda": 0x1000})
    changes = {(change.subject, change.field): change.after for change in diff(machine(same), machine(posted))}
    assert changes["unit 0 entry 0x18", "format"] == "posted"
    assert changes["unit 0 entry 0x18", "pda"] == 0x1000
    assert ("unit 0 entry 0x18", "sid") not in changes


def test_what_came_and_went() -> None:
    before, after = machine(), machine(REMAPPED.build(ENTRY))
    assert Change("unit 0 entry 0x18", "vector", None, 0x40) in diff(before, after)
    assert Change("unit 0 entry 0x18", "vector", 0x40, None) in diff(after, before)
    assert Change("d1v0", "cpu", 0, None) in diff(before, replace(before, vcpus=()))


def test_what_a_log_does_not_tell_has_not_changed() -> None:
    irq = Irq(25, 0x62, "PCI-MSI", 0x10, (0, 1), (0,), 0, (Guest(1, 87, pirq_masked=False),))
    one = Snapshot("a", irqs=(irq,))
    other = Snapshot("b", absent=(Absence(NOT_PRINTED, "irqs", "no key i", "irqs"),))
    assert diff(one, other) == []
    assert not_told(other) == {"irqs"}


def test_what_s3_changes_affinity_masks_and_pins() -> None:
    irq = Irq(25, 0x62, "PCI-MSI", 0x10, (0, 1), (0,), 0, (Guest(1, 87, pirq_masked=False),))
    pin = Redirection(0, 9, 0x38, 0, 1, 0, 0, 0)
    msi = Msi(25, 0x18, "MSI", 0x300, 0, 0, 0x62, host_masked=False)
    before = Snapshot("a", irqs=(irq,), redirections=(pin,), msis=(msi,))
    after = Snapshot(
        "b",
        irqs=(replace(irq, affinity=(0,), guests=(replace(irq.guests[0], pirq_masked=True),)),),
        redirections=(replace(pin, mask=1, irr=1),),
        msis=(replace(msi, host_masked=True),),
    )
    found = {(change.subject, change.field): (change.before, change.after) for change in diff(before, after)}
    assert found == {
        ("irq 25", "affinity"): ([0, 1], [0]),
        ("irq 25", "host_masked"): (False, True),
        ("irq 25 of d1", "pirq_masked"): (False, True),
        ("IO-APIC 0 pin 9", "mask"): (0, 1),
        ("IO-APIC 0 pin 9", "irr"): (0, 1),
    }
