"""Take a snapshot: everything that one look at a machine can tell about interrupt remapping and posting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from inspector.base.errors import UNREADABLE
from inspector.model.snapshot import BlockingList, Cpu, Domain, Fault, Pin, Platform, Snapshot, Vcpu, VtdUnit
from inspector.vtd import remapping
from inspector.vtd.units import Unit
from inspector.xen import blocking, domains, percpu
from inspector.xen.interrupts import Msi
from inspector.xen.xen import Xen
from structs.columns import columns, rows
from structs.faults import FRCD

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection

T = TypeVar("T")

BYTES = {"iommu_intremap": "intremap", "iommu_intpost": "intpost", "x2apic_enabled": "x2apic"}
VECTORS = ("posted_intr_vector", "pi_wakeup_vector")


def take(inspection: Inspection) -> Snapshot:
    """Everything that can be read; what cannot be is a line in `problems`. Raises only if the target itself is lost."""
    problems: list[str] = []
    snapshot = Snapshot(inspection.target.description, beside=inspection.target.beside)
    if inspection.xen:
        snapshot = _of_xen(snapshot, inspection.xen, problems)
        snapshot = replace(
            snapshot,
            msis=tuple(_physical(inspection.xen, msi) for msi in inspection.xen_msis),
            pins=tuple(Pin(apic, pin, index) for (apic, pin), index in inspection.xen_pins.items()),
        )
    units = _quietly(lambda: inspection.units) or []
    found = tuple(_unit(unit, problems) for unit in units)
    modes = {bool(unit.eime) for unit in found if unit.base is not None}
    if snapshot.x2apic is None and len(modes) == 1:
        snapshot = replace(snapshot, x2apic=modes.pop())
    return replace(snapshot, units=found, problems=(*inspection.problems, *problems))


def take_vcpus(inspection: Inspection) -> Snapshot:
    """As `take`, but only CPUs, vCPUs and lists: what tells where vCPUs stand, and much quicker."""
    snapshot, problems = Snapshot(inspection.target.description, beside=inspection.target.beside), list[str]()
    if inspection.xen:
        snapshot = _of_xen(snapshot, inspection.xen, problems)
    return replace(snapshot, problems=(*inspection.problems, *problems))


def _of_xen(snapshot: Snapshot, xen: Xen, problems: list[str]) -> Snapshot:
    values: dict[str, Any] = {"version": xen.profile.version, "build_id": xen.profile.build_id}
    for symbol, name in (*BYTES.items(), *((name, name) for name in VECTORS)):
        value = _attempt(symbol, lambda symbol=symbol: xen.variable(symbol, 1), problems)  # type: ignore[misc]
        values[name] = value if value is None or name in VECTORS else bool(value)
    found: tuple[list[Domain], list[Vcpu], list[str]]
    found = _attempt("domains", lambda: domains.domains(xen), problems) or ([], [], [])
    all_domains, vcpus, trouble = found
    problems += trouble
    cpus = _attempt("CPUs", lambda: percpu.cpus(xen, vcpus, problems), problems) or []
    lists = _attempt("blocking lists", lambda: blocking.lists(xen, cpus, vcpus), problems) or []
    return replace(
        snapshot,
        **values,
        cpus=tuple(cpus),
        lists=tuple(lists),
        domains=tuple(all_domains),
        vcpus=tuple(_joined(vcpus, cpus, lists)),
    )


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


def _unit(unit: Unit, problems: list[str]) -> VtdUnit:
    platform = tuple(
        Platform(s.kind, s.enumeration_id, s.sid) for s in unit.scopes if s.kind in (3, 4) and s.sid is not None
    )
    made = VtdUnit(
        unit.index, unit.register_base, unit.segment, platform=platform, in_use=unit.xen.in_use if unit.xen else None
    )
    made = replace(made, cap_pi=(_quietly(lambda: unit.capabilities) or {}).get("pi"))
    if entries := _attempt(f"unit {unit.index}", lambda: remapping.read(unit), problems):
        table, used = entries.table, entries.used()
        if entries.missing:
            problems.append(
                f"unit {unit.index}: {entries.missing} bytes of its table at {table.base:#x} cannot be read"
            )
        made = replace(
            made,
            base=table.base,
            size=table.entries,
            eime=table.eime,
            origin=table.origin,
            indices=tuple(used.tolist()),
            raw=entries.raw[used].tobytes(),
        )
    if _quietly(lambda: unit.window):
        made = replace(
            made,
            fsts=unit.raw_register("FSTS"),
            iqh=unit.raw_register("IQH"),
            iqt=unit.raw_register("IQT"),
            faults=_attempt(f"unit {unit.index}'s fault records", lambda: _faults(unit), problems) or (),
        )
    return made


def _faults(unit: Unit) -> tuple[Fault, ...]:
    records = enumerate(rows(columns(FRCD, unit.fault_records)))
    return tuple(Fault(n, r["f"], r["fr"], r["sid"], r["fi"]) for n, r in records if r["f"] or r["fr"])


def _attempt(what: str, read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except UNREADABLE as error:
        problems.append(f"{what}: {error}")
        return None


def _quietly(read: Callable[[], T]) -> T | None:
    return _attempt("", read, [])
