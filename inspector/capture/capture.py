"""Capture a snapshot: everything that one look at a machine can tell about interrupt remapping and posting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from inspector.base.errors import UNREADABLE, NotHere, StaleError
from inspector.kernels.host import Build, Machine, Switches
from inspector.model.absence import NOT_APPLICABLE, Absence, unreadable
from inspector.model.deferred import Part, defer
from inspector.model.interrupts import IoApic
from inspector.model.snapshot import Snapshot
from inspector.vtd.units import unit_of

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection

T = TypeVar("T")

SWITCHES = tuple(each.name for each in fields(Switches))

KERNEL = "kernel"
"""The member that is read only when it is asked for: above a Xen, Linux is not looked for by who does not show it."""


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
            (SWITCHES, self._switches),
            (("cpus", "lists", "domains", "vcpus"), self._machine),
            (("units",), self._units),
            (("msis",), self._msis),
            (("irqs",), self._irqs),
            (("pins",), self._pins),
            (("ioapics",), self._ioapics),
            (("dmar",), self._dmar),
            ((KERNEL,), self._kernel),
        ]
        known = {"target": target.description, "beside": target.beside, "absent": ()}
        told = [(names, self._told(names, part)) for names, part in parts]
        self.snapshot = defer(Snapshot, known, told, frozenset({KERNEL}))

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
        host = self._inspection.host
        return vars(host.build(self._absent) if host else Build())

    def _kernel(self) -> Mapping[str, Any]:
        linux = self._inspection.linux
        kernel = self._attempt("Linux", lambda: linux.kernel(self._absent), KERNEL) if linux else None
        return {KERNEL: kernel}

    def _switches(self) -> Mapping[str, Any]:
        host = self._inspection.host
        values = dict(vars(host.switches(self._absent) if host else Switches()))
        if values["x2apic"] is None:
            modes = {bool(unit.eime) for unit in self.snapshot.units if unit.base is not None}
            values["x2apic"] = modes.pop() if len(modes) == 1 else None
        return values

    def _machine(self) -> Mapping[str, Any]:
        host = self._inspection.host
        return vars(host.machine(self._absent) if host else Machine())

    def _units(self) -> Mapping[str, Any]:
        try:
            units = self._inspection.unit_readers
        except UNREADABLE as error:
            self._absent.append(Absence(NOT_APPLICABLE, "VT-d units", str(error), "units"))
            units = []
        return {"units": tuple(unit_of(unit, self.check) for unit in units)}

    def _msis(self) -> Mapping[str, Any]:
        return {"msis": tuple(self._inspection.host_msis)}

    def _irqs(self) -> Mapping[str, Any]:
        host = self._inspection.host
        if host is None:
            return {"irqs": ()}
        domains = self.snapshot.domains
        found = self._attempt(f"{host.name}'s irqs", lambda: host.irqs(domains, self._absent), "irqs")
        return {"irqs": tuple(found or ())}

    def _pins(self) -> Mapping[str, Any]:
        return {"pins": tuple(self._inspection.host_pins)}

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
