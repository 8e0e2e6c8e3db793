"""Facts of one boot as a snapshot: what one key completes of another, what is not known, what is told."""

from __future__ import annotations

from collections.abc import Iterable

from inspector.model.absence import NOT_PRINTED
from inspector.model.interrupts import NO_INDEX
from inspector.model.snapshot import MARKER, Snapshot
from inspector.targets.recorded.console.answers import boots
from inspector.targets.recorded.console.boot import Boot, IoApicFacts, ScopeFacts, StructureFacts
from inspector.targets.recorded.console.faults import FaultFacts
from inspector.targets.recorded.console.key_domains import DomainFacts, VcpuFacts
from inspector.targets.recorded.console.key_irq import Irqs
from inspector.targets.recorded.console.key_msi import MsiFacts
from inspector.targets.recorded.console.key_pci import DeviceFacts
from inspector.targets.recorded.console.key_vtd import PinFacts, Tables, UnitFacts
from inspector.targets.recorded.console.to_snapshot import snapshot
from structs.irte import REMAPPED

from .printing import domains, fault, irq, msi, numbered, pci, verbose, vtd

XEN = (4, 20)


def entry(vector: int, sid: int = 0x300, dst: int = 1) -> bytes:
    """A present entry."""
    return bytes(REMAPPED.build({"p": 1, "vector": vector, "svt": 1, "sid": sid, "dst": dst}))


def made(*parts: Iterable[str]) -> Snapshot:
    """The snapshot of these lines."""
    (boot,) = boots(numbered(line for part in parts for line in part))
    return snapshot("a log", boot)[0]


def tables(**entries: bytes) -> list[str]:
    """`V` of one unit in x2APIC form: `i18=...` is entry 0x18."""
    unit = UnitFacts(0, 65536, False, True, True, entries={int(at[1:], 16): raw for at, raw in entries.items()})
    return vtd(XEN, Tables([unit]))


def row(number: int, vector: int, dest: int = 1) -> MsiFacts:
    """An MSI."""
    return MsiFacts(number, "MSI", vector, False, False, False, dest, True, False, True, False)


X2APIC = ["Switched to APIC driver x2apic_cluster"]


class TestMsis:
    """M with V and Q."""

    def test_the_entry_with_its_vector_and_source(self) -> None:
        devices = pci(XEN, [DeviceFacts(0x300, 1, "d1", -1, (25,)), DeviceFacts(0x400, 0, "d0", -1, (26,))])
        rows = msi(XEN, [row(25, 0x62), row(26, 0x62)])
        one, two = made(X2APIC, tables(i18=entry(0x62), i19=entry(0x62, 0x400)), rows, devices).msis
        assert ((one.device, one.index), (two.device, two.index)) == ((0x300, 0x18), (0x400, 0x19))
        assert (one.host_masked, one.guest_masked, one.masked) == (False, True, False)

    def test_without_q_the_device_is_the_only_source_that_the_entry_allows(self) -> None:
        (one,) = made(X2APIC, tables(i18=entry(0x62)), msi(XEN, [row(25, 0x62)])).msis
        assert (one.device, one.index) == (0x300, 0x18)

    def test_two_entries_that_could_be_its_are_none(self) -> None:
        (one,) = made(X2APIC, tables(i18=entry(0x62), i19=entry(0x62, 0x400)), msi(XEN, [row(25, 0x62)])).msis
        assert (one.device, one.index) == (None, NO_INDEX)

    def test_a_units_own_is_none(self) -> None:
        assert (
            made(msi(XEN, [MsiFacts(24, "IOMMU", 0x30, False, False, False, 0, True, False, False, None)])).msis == ()
        )


class TestDomains:
    """q with Q."""

    def test_run_states_as_the_scheduler_has_them(self) -> None:
        def vcpu(number: int, **what: object) -> VcpuFacts:
            plain = VcpuFacts(1, number, 0, False, 0, False, False, (), (), 0, 0)
            return VcpuFacts(**{**vars(plain), **what})  # type: ignore[arg-type]

        running, waiting = vcpu(0, running=True, dirty=(3,)), vcpu(1)
        blocked, paused = vcpu(2, pause_flags=1, upcall_pending=True), vcpu(3, pause_count=1)
        domain = DomainFacts(1, 0, 0, True, [running, waiting, blocked, paused])
        found = made(domains(XEN, [domain])).vcpus
        assert [v.runstate for v in found] == ["running", "runnable", "blocked", "offline"]
        assert [v.dirty_cpu for v in found] == [3, MARKER, MARKER, MARKER]
        assert (found[2].event_pending, found[2].event_masked) == (True, False)

    def test_devices_of_domains_also_of_those_that_q_does_not_tell(self) -> None:
        found = made(pci(XEN, [DeviceFacts(0x300, 1, "d1", -1, ()), DeviceFacts(0x400, None, "d[IO]", -1, ())]))
        assert [(domain.domain, domain.devices) for domain in found.domains] == [(1, (0x300,))]
        assert [device.owner for device in found.devices] == ["d1", "d[IO]"]


class TestUnits:
    """V with boot messages."""

    BOOT = Boot("4.20.1", None, True, False, True, 46, ioapics=[IoApicFacts(0, 8, 0xFEC00000, range(24))])

    def test_registers_and_scopes_of_the_unit_of_that_number(self) -> None:
        drhd = StructureFacts("DRHD", 0xFED90000, cap=1 << 59, ecap=0xF, scopes=[ScopeFacts(3, 0xF0F8)])
        boot = Boot(**{**vars(self.BOOT), "structures": [drhd]})
        (unit,) = made(verbose(XEN, boot), vtd(XEN, Tables([UnitFacts(0, 256, None, True, True)]))).units
        assert (unit.register_base, unit.cap, unit.ecap, unit.size) == (0xFED90000, 1 << 59, 0xF, 256)
        assert [(at.enumeration_id, at.sid) for at in unit.platform] == [(8, 0xF0F8)]
        assert unit.register("CAP")["pi"] == 1  # type: ignore[index]

    def test_boot_messages_alone(self) -> None:
        drhd = StructureFacts("DRHD", 0xFED90000, cap=0, ecap=0)
        found = made(verbose(XEN, Boot(**{**vars(self.BOOT), "structures": [drhd]})))
        assert [(unit.index, unit.base, unit.cap_pi) for unit in found.units] == [(0, None, 0)]
        assert found.x2apic is True

    def test_pins_with_their_whole_redirection_entries(self) -> None:
        pin = PinFacts(0, 9, 1, 1, 1, 1, 0, 0, 0, 0x38)
        found = made(vtd(XEN, Tables([UnitFacts(0, 256, None, True, True)], [pin], {0})))
        assert (found.pins[0].index, found.pins[0].vector) == (1, 0x38)
        (value,) = [value for value in found.ioapics[0].redirection if value is not None]
        assert value == 1 << 49 | 1 << 48 | 1 << 16 | 1 << 15 | 1 << 14 | 0x38


def test_what_no_key_printed_is_absent_and_what_is_damaged_is_told() -> None:
    found = made(irq(XEN, Irqs(True)), ["R:  0018: nonsense"])
    members = {absence.member for absence in found.absent if absence.kind == NOT_PRINTED}
    assert {"pi", "lists", "cpus", "msis", "vcpus", "devices"} <= members
    assert "irqs" not in members
    assert any("is damaged" in problem for problem in found.problems)


def test_the_same_fault_is_counted() -> None:
    one = FaultFacts(1, "", 0x300, 0x22, 0x1A, None, None, None)
    lines = [line for _ in range(3) for line in fault(XEN, one)]
    (found,) = made(lines).faults
    assert (found.count, found.device, found.index, found.line) == (3, 0x300, 0x1A, 1)
