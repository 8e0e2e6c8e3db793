"""Rules about interrupts as a whole."""

from __future__ import annotations

from dataclasses import replace

from inspector.audit import Finding, audit, coverage, the_rule
from inspector.model.interrupts import Guest, IoApic, Irq, Msi, Pin, Redirection
from inspector.model.reports import FaultReport, Message
from inspector.model.snapshot import Cpu, Snapshot, Vcpu
from inspector.model.vtd import Platform, VtdUnit
from structs.ioapic import COMPATIBILITY
from structs.irte import IRTE

ENTRY = {"p": 1, "vector": 0x62, "svt": 1, "sid": 0x300, "dst": 0x100}


def found(snapshot: Snapshot, rule: str) -> list[Finding]:
    """What one rule finds; it must have been asked."""
    assert coverage(snapshot, the_rule(rule)).checked == (rule,), coverage(snapshot, the_rule(rule))
    return audit(snapshot, the_rule(rule))


def of_msi(irq: Irq | None = None, **entry: int) -> Snapshot:
    """A machine of two CPUs with one MSI, irq 25."""
    raw = bytes(IRTE.build(ENTRY | entry))
    unit = VtdUnit(0, 0, base=0, size=65536, indices=(0x18,), raw=raw)
    msi = Msi(25, 0x18, "MSI", 0x300, 0, 0, 0x62, masked=False)
    cpus = (Cpu(0, 0), Cpu(1, 1), Cpu(2, 2, online=False))
    return Snapshot("a machine", units=(unit,), msis=(msi,), irqs=(irq or Irq(25, 0x62, "PCI-MSI", 0x10),), cpus=cpus)


class TestHeldBack:
    """D33."""

    def test_d33_an_irq_in_flight_and_masked(self) -> None:
        guest = Guest(1, 87, pirq_masked=True)
        (one,) = found(of_msi(Irq(25, 0x62, "PCI-MSI", 0x10, in_flight=1, guests=(guest,))), "D33")
        assert (one.severity, one.subject) == ("warning", "irq 25")
        assert "1 in flight, and it is masked (d1 pirq 87)" in one.message

    def test_neither_alone(self) -> None:
        assert not found(of_msi(Irq(25, 0x62, "PCI-MSI", 0x10, in_flight=1)), "D33")
        assert not found(of_msi(Irq(25, 0x62, "PCI-MSI", 0x12, in_flight=0)), "D33")


class TestLostDestination:
    """D34."""

    def test_d34_a_vector_that_nobody_takes(self) -> None:
        (one,) = found(of_msi(vector=0), "D34")
        assert (one.severity, one.subject) == ("bug", "unit 0 entry 0x18")

    def test_an_offline_cpu_and_none(self) -> None:
        assert "CPU 2, which is offline" in found(of_msi(dst=0x200), "D34")[0].message
        assert "an APIC that no CPU has" in found(of_msi(dst=0x900), "D34")[0].message
        assert not found(of_msi(), "D34")

    def test_a_source_that_is_masked_is_not_looked_at(self) -> None:
        snapshot = of_msi(vector=0)
        masked = replace(snapshot, msis=(replace(snapshot.msis[0], masked=True),))
        assert not found(masked, "D34")
        assert not found(of_msi(Irq(25, 0x62, "PCI-MSI", 2), vector=0), "D34")

    def test_an_unused_pin_has_vector_0(self) -> None:
        raw = bytes(IRTE.build({"p": 1, "svt": 1, "sid": 0xF0F8}))
        unit = VtdUnit(0, 0, base=0, size=65536, indices=(0,), raw=raw)
        pin = Redirection(0, 0, 0, 1, 0, 0, 0, 0)
        snapshot = Snapshot("a log", units=(unit,), pins=(Pin(0, 0, 0, vector=0),), redirections=(pin,))
        assert not found(snapshot, "D34")
        assert found(replace(snapshot, redirections=(replace(pin, mask=0),)), "D34")


def test_d35_a_pin_in_compatibility_format() -> None:
    value = int.from_bytes(COMPATIBILITY.build({"vector": 0x30}), "little")
    snapshot = Snapshot("a machine", units=(VtdUnit(0, 0, base=0, eime=1),), ioapics=(IoApic(0, 0, 0x20, (value,)),))
    assert found(snapshot, "D35")[0].subject == "IO-APIC 0 pin 0"
    masked = replace(snapshot, ioapics=(IoApic(0, 0, 0x20, (value | 1 << 16,)),))
    assert not found(masked, "D35")
    assert not found(replace(snapshot, units=(VtdUnit(0, 0, base=0, eime=0),)), "D35")


def test_d36_another_source_than_the_scope() -> None:
    raw = bytes(IRTE.build({"p": 1, "vector": 0x38, "svt": 1, "sid": 0xF0F8}))
    unit = VtdUnit(0, 0, base=0, size=65536, indices=(1,), raw=raw, platform=(Platform(3, 8, 0xF0F0),))
    snapshot = Snapshot("a machine", units=(unit,), pins=(Pin(0, 9, 1, 8),))
    assert "allows f0:1f.0, but it sends as f0:1e.0" in found(snapshot, "D36")[0].message
    right = replace(unit, platform=(Platform(3, 8, 0xF0F8),))
    assert not found(replace(snapshot, units=(right,)), "D36")


def test_d37_a_flood_and_d25_every_report() -> None:
    few, many = FaultReport(0x300, 0x22, 0x1A, count=2), FaultReport(0x400, 0x26, 1, count=99)
    snapshot = Snapshot("a log", faults=(few, many), messages=(Message("apic-error", "APIC error on CPU3: 00(08)", 3),))
    assert [one.subject for one in found(snapshot, "D37")] == ["04:00.0"]
    told = {one.subject: one.message for one in found(snapshot, "D25")}
    assert "fault 0x22 at index 0x1a, 2 times" in told["03:00.0"]
    assert told.keys() == {"03:00.0", "04:00.0", "CPU 3"}


def test_d38_units_that_differ() -> None:
    units = (VtdUnit(0, 0, cap_pi=1), VtdUnit(1, 0, cap_pi=0))
    (one,) = found(Snapshot("a log", units=units), "D38")
    assert (one.severity, "unit 1 cannot post" in one.message) == ("info", True)
    assert not found(Snapshot("a log", units=units[:1]), "D38")


def test_d39_a_blocked_vcpu_with_an_event() -> None:
    vcpu = Vcpu(1, 2, is_running=False, pause_flags=1, event_pending=True, event_masked=False)
    (one,) = found(Snapshot("a log", vcpus=(vcpu,)), "D39")
    assert (one.severity, one.subject, one.suspicion) == ("warning", "d1v2", True)
    for quiet in (
        replace(vcpu, event_masked=True),
        replace(vcpu, event_pending=False),
        replace(vcpu, pause_flags=0),
        replace(vcpu, pause_count=1),
        replace(vcpu, polling=True),
    ):
        assert not found(Snapshot("a log", vcpus=(quiet,)), "D39")


def test_d40_a_softirq_that_nobody_looks_at() -> None:
    asleep = Cpu(0, 0, softirqs=1, in_mwait=True, irr=(), mode="idle")
    (one,) = found(Snapshot("a machine", cpus=(asleep,)), "D40")
    assert (one.severity, one.subject, one.suspicion) == ("warning", "CPU 0", True)
    assert "waits in MWAIT with softirqs pending (0x1)" in one.message
    guest = replace(asleep, in_mwait=False, mode="guest")
    assert "executes a guest" in found(Snapshot("a machine", cpus=(guest,)), "D40")[0].message
    for quiet in (
        replace(asleep, softirqs=0),
        replace(asleep, irr=(0xFC,)),
        replace(asleep, irr=None),
        replace(asleep, online=False),
        replace(asleep, in_mwait=False),
        replace(guest, mode="xen"),
    ):
        assert not found(Snapshot("a machine", cpus=(quiet,)), "D40")
