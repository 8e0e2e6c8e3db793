"""The join: each interrupt from its source to who takes it, with what holds it."""

from __future__ import annotations

from dataclasses import replace

from inspector.analysis.interrupt import DISABLED, GUEST, Interrupt
from inspector.analysis.irqs import destination_cpus, entry_at, interrupts, interrupts_of_sources, owners
from inspector.analysis.route import by_index, routes
from inspector.model.interrupts import Device, Guest, Irq, Msi, Pin, Redirection
from inspector.model.snapshot import Cpu, Descriptor, Domain, Snapshot, Vcpu
from inspector.model.vtd import VtdUnit
from structs.irte import IRTE

MSI = bytes(IRTE.build({"p": 1, "vector": 0x62, "svt": 1, "sid": 0x300, "dst": 0x100}))
PIN = bytes(IRTE.build({"p": 1, "vector": 0x38, "svt": 1, "sid": 0xF0F8, "tm": 1}))
POSTED = bytes(IRTE.build({"p": 1, "im": 1, "vector": 0x31, "pda": 0x1000, "svt": 1, "sid": 0x300}))


def unit(*raw: tuple[int, bytes]) -> VtdUnit:
    """A unit with these entries."""
    return VtdUnit(0, 0, base=0, size=65536, indices=tuple(at for at, _ in raw), raw=b"".join(r for _, r in raw))


def one(snapshot: Snapshot) -> Interrupt:
    """The only interrupt."""
    (found,) = interrupts(snapshot)
    return found


def test_an_msi_from_its_device_to_the_guest_that_masks_it() -> None:
    guest = Guest(1, 87, pending=True, masked=True, pirq_masked=True)
    snapshot = Snapshot(
        "a log",
        units=(unit((0x18, MSI)),),
        msis=(Msi(25, 0x18, "MSI", 0x300, 0, 0, 0x62, guest_masked=True),),
        irqs=(Irq(25, 0x62, "PCI-MSI", GUEST, (0, 1), (1,), 1, (guest,)),),
        devices=(Device(0x300, 1, "d1", (25,)),),
    )
    found = one(snapshot)
    assert (found.irq, found.unit, found.index, found.vector, found.cpus) == (25, 0, 0x18, 0x62, (1,))
    assert (found.owner, found.taker, found.device) == ("d1", "d1", 0x300)
    assert found.masks == ("guest", "d1 pirq 87", "d1 event channel")
    assert found.pending == ("1 in flight", "d1 event")


def test_a_posted_one_goes_to_its_vcpu() -> None:
    snapshot = Snapshot(
        "a dump",
        units=(unit((0x18, POSTED)),),
        msis=(Msi(25, 0x18, "MSI-X", 0x300, 0x31, 0x1000, 0x62),),
        irqs=(Irq(25, 0x62, "PCI-MSI/-X", GUEST),),
        vcpus=(Vcpu(1, 2, hvm=True, pi=Descriptor(0x1000, (), 0, 0, 0xF2, 0)),),
        domains=(Domain(1, devices=(0x300,)),),
    )
    found = one(snapshot)
    assert (found.taker, found.vector, found.guest_vector, found.owner) == ("posted to d1v2", 0x62, 0x31, "d1")


def test_a_pin_by_its_irq_or_by_its_vector() -> None:
    told = Redirection(0, 9, 0x38, 1, 1, 1, 0, 0, irq=9)
    snapshot = Snapshot(
        "a log",
        units=(unit((1, PIN)),),
        pins=(Pin(0, 9, 1, vector=0x38),),
        irqs=(Irq(9, 0x38, "IO-APIC-level", DISABLED),),
        redirections=(told,),
    )
    for given in (snapshot, replace(snapshot, redirections=(replace(told, irq=None),))):
        found = one(given)
        assert (found.irq, found.index, found.masks, found.pending) == (9, 1, ("pin", "irq disabled"), ("IRR",))
        assert str(found.source) == "IO-APIC 0 pin 9"
        assert (found.taker, found.fires) == ("nobody", False)


def test_an_irq_without_a_record_has_the_only_entry_with_its_vector() -> None:
    irq = Irq(25, 0x62, "PCI-MSI", GUEST)
    snapshot = Snapshot("a log", units=(unit((0x18, MSI)),), irqs=(irq,))
    assert (one(snapshot).index, one(snapshot).device) == (0x18, 0x300)
    two = replace(snapshot, irqs=(irq, replace(irq, irq=26)))
    assert [each.index for each in interrupts(two)] == [None, None, 0x18]


def test_what_is_not_known_is_none() -> None:
    found = one(Snapshot("a log", devices=(Device(0x300, None, "d[IO]", (25,)),)))
    assert (found.vector, found.index, found.cpus, found.in_flight, found.taker) == (
        None,
        None,
        None,
        None,
        "not known",
    )
    assert (found.owner, found.masks, found.pending) == ("d[IO]", (), ())


def test_destinations_in_every_mode() -> None:
    cpus = tuple(Cpu(number, apic) for number, apic in enumerate((0, 1, 0x12)))
    entry = {"im": 0, "dm": 0, "dst": 0x100}
    snapshot = Snapshot("a dump", cpus=cpus)
    assert destination_cpus(snapshot, Interrupt(1, entry=entry)) == (1,)
    assert destination_cpus(snapshot, Interrupt(1, entry=entry | {"dst": 0x12}, eime=True)) == (2,)
    assert destination_cpus(snapshot, Interrupt(1, entry=entry | {"dm": 1, "dst": 0x10004}, eime=True)) == (2,)
    assert destination_cpus(snapshot, Interrupt(1, entry=entry | {"dm": 1, "dst": 0x300})) == (0, 1)
    assert destination_cpus(Snapshot("a log"), Interrupt(1, entry=entry)) is None


def test_owners_of_devices_also_in_quarantine() -> None:
    snapshot = Snapshot("x", domains=(Domain(1, devices=(0x300,)),), devices=(Device(0x400, None, "DomIO:7ff8"),))
    assert owners(snapshot) == {0x300: "d1", 0x400: "DomIO:7ff8"}


def test_those_of_known_sources_are_all_that_have_an_irq_or_a_pin() -> None:
    foreign = bytes(IRTE.build({"p": 1, "vector": 0x70, "svt": 1, "sid": 0x400}))
    snapshot = Snapshot(
        "a dump",
        units=(unit((1, PIN), (2, PIN), (0x18, MSI), (0x19, POSTED), (0x20, foreign), (0x21, foreign)),),
        pins=(Pin(0, 9, 1), Pin(0, 10, 2)),
        msis=(Msi(25, 0x18, "MSI", 0x300, 0, 0, 0x62), Msi(26, 0x19, "MSI", 0x300, 0x31, 0x1000, 0x63)),
        redirections=(Redirection(0, 9, 0x38, 0, 1, 0, 0, 0, irq=9), Redirection(0, 10, 0x38, 1, 1, 0, 0, 0)),
    )
    every = interrupts(snapshot)
    assert [each.index for each in every] == [1, 0x18, 0x19, 2, 0x20, 0x21]
    assert interrupts_of_sources(snapshot) == every[:4]


def test_of_many_alike_none_is_an_irqs() -> None:
    """A vector leads from an irq to its entry only if no other entry of a device has it, in whatever unit."""
    irq = Irq(25, 0x62, "PCI-MSI", GUEST)
    two = (unit((0x18, MSI)), replace(unit((7, MSI)), index=1))
    assert [each.index for each in interrupts(Snapshot("a log", units=two, irqs=(irq,)))] == [None, 0x18, 7]
    table = unit((3, PIN), (4, POSTED), (0x18, MSI))
    assert [each.index for each in interrupts(Snapshot("a log", units=(table,), irqs=(irq,)))] == [0x18, 3, 4]


def test_an_entry_by_its_index() -> None:
    table = unit((3, PIN), (4, POSTED), (0x18, MSI))
    posted, none = entry_at(table, 4), entry_at(table, 5)
    assert posted is not None
    assert (posted["index"], posted["pda"], none) == (4, 0x1000, None)
    assert entry_at(table, 0x19) is None


def test_a_pin_whose_entry_the_crash_overwrote_has_its_irqs_vector() -> None:
    zero = bytes(IRTE.build({"p": 1, "vector": 0, "svt": 1, "sid": 0xF0F8}))
    snapshot = Snapshot(
        "a crash dump",
        units=(unit((1, zero), (2, zero)),),
        pins=(Pin(0, 9, 1, irq=9, rewritten=True), Pin(0, 10, 2, rewritten=True)),
        irqs=(Irq(9, 0x38, "IO-APIC-level", GUEST),),
    )
    joined, other = interrupts(snapshot)
    assert (joined.irq, joined.index, joined.vector, str(joined.source)) == (9, 1, 0x38, "IO-APIC 0 pin 9")
    assert (other.irq, other.index, other.vector) == (None, 2, None)
    found = routes(snapshot, by_index(1))
    assert found[0].fires[0].startswith("not known: the crash overwrote the entry of this pin")
