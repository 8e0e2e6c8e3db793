"""Capture a snapshot: everything that one look at a machine can tell about interrupt remapping and posting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from inspector.base.errors import UNREADABLE, NotHere, StaleError
from inspector.model.absence import NOT_APPLICABLE, Absence, unreadable
from inspector.model.deferred import Part, defer
from inspector.model.interrupts import IoApic, Msi
from inspector.model.snapshot import BlockingList, Cpu, Domain, Snapshot, Vcpu
from inspector.vtd.units import unit_of
from inspector.xen.xen import Xen

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection

T = TypeVar("T")

FLAGS = {"intremap": "iommu_intremap", "intpost": "iommu_intpost", "x2apic": "x2apic_enabled"}

VECTORS = ("posted_intr_vector", "pi_wakeup_vector")


def capture(inspection: Inspection) -> Snapshot:
    """A snapshot whose parts are read when first asked for. What cannot be read is told in `absent`.

    Raises, here and where a part is read:
        TargetError: the target was lost.
        StaleError: the machine has run since.
    """
    return _Capture(inspection).snapshot


def take(inspection: Inspection) -> Snapshot:
    """A snapshot with everything read at once. Raises TargetError if the target was lost."""
    return capture(inspection).complete()


def take_vcpus(inspection: Inspection) -> Snapshot:
    """A snapshot with CPUs, vCPUs and lists read: what tells where vCPUs stand, and much quicker than all."""
    captured = capture(inspection)
    captured.vcpus  # noqa: B018 - read now, before the machine goes on
    captured.posted_intr_vector  # noqa: B018
    return captured


class _Capture:
    """What the parts of one snapshot have in common: where it is read from, and what turned out to be absent."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._generation = inspection.target.generation
        self._absent: list[Absence] = []
        target = inspection.target
        parts: list[tuple[tuple[str, ...], Part]] = [
            (("memory", "ranges"), self._memory),
            (("version", "build_id", "phys_start", "page_table"), self._build),
            (("intremap", "intpost", "x2apic", *VECTORS), self._variables),
            (("cpus", "lists", "domains", "vcpus"), self._vcpus),
            (("units",), self._units),
            (("msis",), self._msis),
            (("irqs",), self._irqs),
            (("pins",), self._pins),
            (("ioapics",), self._ioapics),
            (("dmar",), self._dmar),
        ]
        known = {"target": target.description, "beside": target.beside, "absent": ()}
        self.snapshot = defer(Snapshot, known, [(names, self._told(names, part)) for names, part in parts])

    def _told(self, names: Sequence[str], part: Part) -> Part:
        """The part, with what has turned out to be absent of it, whatever was read before."""

        def read() -> Mapping[str, Any]:
            self.check()
            outer, self._absent = self._absent, []
            try:
                values = part()
                return {**values, "absent": (*self._inspection.absent_of(*names), *self._absent)}
            finally:
                self._absent = outer

        return read

    def check(self) -> None:
        """Raises StaleError if the machine has run: what is read now would be of another moment."""
        if self._inspection.target.generation != self._generation:
            raise StaleError(f"{self._inspection.target.description} has run since this snapshot was begun; look again")

    def _attempt(self, what: str, read: Callable[[], T], member: str = "") -> T | None:
        try:
            return read()
        except UNREADABLE as error:
            self._absent.append(unreadable(what, error, member))
            return None

    def _memory(self) -> Mapping[str, Any]:
        ranges = self._inspection.target.memory()
        if not ranges:
            return {"memory": None, "ranges": None}
        return {"memory": sum(known.size for known in ranges), "ranges": len(ranges)}

    def _build(self) -> Mapping[str, Any]:
        xen = self._inspection.xen
        if xen is None:
            return dict.fromkeys(("version", "build_id", "phys_start", "page_table"))
        return {
            "version": xen.profile.version,
            "build_id": xen.profile.build_id,
            "phys_start": self._attempt("Xen's image", lambda: xen.phys_start, "phys_start"),
            "page_table": xen.memory.root,
        }

    def _variables(self) -> Mapping[str, Any]:
        values: dict[str, Any] = dict.fromkeys((*FLAGS, *VECTORS))
        if xen := self._inspection.xen:
            for name, symbol in (*FLAGS.items(), *((name, name) for name in VECTORS)):
                value = self._attempt(symbol, lambda symbol=symbol: xen.variable(symbol, 1), name)  # type: ignore[misc]
                values[name] = value if value is None or name in VECTORS else bool(value)
        if values["x2apic"] is None:
            modes = {bool(unit.eime) for unit in self.snapshot.units if unit.base is not None}
            values["x2apic"] = modes.pop() if len(modes) == 1 else None
        return values

    def _vcpus(self) -> Mapping[str, Any]:
        from inspector.xen import blocking, domains, percpu

        xen, absent = self._inspection.xen, self._absent
        if xen is None:
            return dict.fromkeys(("cpus", "lists", "domains", "vcpus"), ())
        found: tuple[list[Domain], list[Vcpu], list[Absence]]
        found = self._attempt("domains", lambda: domains.domains(xen), "domains") or ([], [], [])
        all_domains, vcpus, trouble = found
        absent += trouble
        cpus = self._attempt("CPUs", lambda: percpu.cpus(xen, vcpus, absent), "cpus") or []
        lists = self._attempt("blocking lists", lambda: blocking.lists(xen, cpus, vcpus), "lists") or []
        return {
            "cpus": tuple(cpus),
            "lists": tuple(lists),
            "domains": tuple(all_domains),
            "vcpus": tuple(_joined(vcpus, cpus, lists)),
        }

    def _units(self) -> Mapping[str, Any]:
        try:
            units = self._inspection.unit_readers
        except UNREADABLE as error:
            self._absent.append(Absence(NOT_APPLICABLE, "VT-d units", str(error), "units"))
            units = []
        return {"units": tuple(unit_of(unit, self.check) for unit in units)}

    def _msis(self) -> Mapping[str, Any]:
        xen = self._inspection.xen
        return {"msis": tuple(_physical(xen, msi) for msi in self._inspection.xen_msis) if xen else ()}

    def _irqs(self) -> Mapping[str, Any]:
        from inspector.xen import irqs

        xen = self._inspection.xen
        if xen is None:
            return {"irqs": ()}
        addresses = {domain.domain: domain.address for domain in self.snapshot.domains}
        found = self._attempt("Xen's irqs", lambda: irqs.irqs(xen, addresses), "irqs")
        if found is None:
            return {"irqs": ()}
        # Of the trees of hardware-virtualised domains it is told where their bindings are read.
        virtualised = {domain.domain for domain in self.snapshot.domains if domain.hvm}
        self._absent += [
            unreadable(f"d{domain}'s pirqs", error, "irqs") for domain, error in found[1] if domain not in virtualised
        ]
        return {"irqs": tuple(found[0])}

    def _pins(self) -> Mapping[str, Any]:
        return {"pins": tuple(self._inspection.xen_ioapic_pins)}

    def _ioapics(self) -> Mapping[str, Any]:
        try:
            found = self._inspection.target.ioapics()
        except NotHere as error:
            self._absent.append(Absence(NOT_APPLICABLE, "IO-APICs", str(error), "ioapics"))
            return {"ioapics": ()}
        except UNREADABLE as error:
            self._absent.append(unreadable("IO-APICs", error, "ioapics"))
            return {"ioapics": ()}
        return {"ioapics": tuple(IoApic(at, apic.id, apic.version, apic.redirection) for at, apic in enumerate(found))}

    def _dmar(self) -> Mapping[str, Any]:
        try:
            return {"dmar": self._inspection.raw_dmar}
        except UNREADABLE as error:
            self._absent.append(Absence(NOT_APPLICABLE, "ACPI DMAR table", str(error), "dmar"))
            return {"dmar": None}


def _joined(vcpus: list[Vcpu], cpus: list[Cpu], lists: list[BlockingList]) -> list[Vcpu]:
    """The vCPUs with the list that each is on, and what its CPU knows of it: guest mode, RFLAGS.IF."""
    listed: dict[str | None, int] = {}
    for of_cpu in lists:
        for node in of_cpu.nodes:
            listed.setdefault(node.vcpu, of_cpu.cpu)
    in_guest = {cpu.current: cpu.in_guest for cpu in cpus}
    # Of a vCPU whose state a CPU still holds, what struct vcpu says is old: __context_switch saves it.
    held = {cpu.loaded: cpu.interruptible for cpu in cpus}
    return [
        replace(
            vcpu,
            blocking_list=listed.get(vcpu.name),
            in_guest=in_guest.get(vcpu.name) if vcpu.is_running else False,
            interruptible=held.get(vcpu.name, vcpu.interruptible),
        )
        for vcpu in vcpus
    ]


def _physical(xen: Xen, msi: Msi) -> Msi:
    """The MSI with the physical address of its descriptor; all ones if its pointer leads nowhere."""
    if not msi.pi_desc:
        return msi
    try:
        return replace(msi, pi_desc=xen.memory.translate(msi.pi_desc))
    except UNREADABLE:
        return replace(msi, pi_desc=(1 << 64) - 1)
