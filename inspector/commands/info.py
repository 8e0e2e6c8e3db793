"""The command `info`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.base.arguments import NoArguments
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.units import why
from inspector.model.answer import Answer, Block, Facts, Table
from inspector.model.snapshot import PID_BITS, Domain, Snapshot
from inspector.model.vtd import VtdUnit
from inspector.xen.knowledge import Knowledge
from inspector.xen.selfcheck import CONSISTENT, PROVED, UNKNOWN

if TYPE_CHECKING:
    from inspector.model import documents

VMS_SHOWN = 8
UNKNOWN_TABLE = "registers not readable here"
UNIT_COLUMNS = ("UNIT", "REGISTERS", "TABLE", "ENTRIES", "EIME", "POSTING", "KNOWN FROM")


@command(
    NoArguments,
    Example("live", "info"),
    Example("dump FILE", "info"),
)
def info(inspection: Inspection, arguments: NoArguments) -> Answer[documents.Info]:
    """What this target is: which Xen or Linux, or both, its CPUs, its VT-d units, which interrupt features are on."""
    snapshot = inspection.deferred
    facts = [("target", snapshot.target)]
    if snapshot.memory:
        facts.append(("memory", f"{snapshot.memory / (1 << 20):.1f} MiB in {snapshot.ranges} ranges"))
    # How well a build without a profile is known is no state of the machine, and stands in no snapshot.
    knowledge = inspection.xen.knowledge if inspection.xen else None
    xen = _xen(snapshot, facts, knowledge) if snapshot.version or snapshot.build_id else None
    linux = _linux(snapshot, facts) if snapshot.kernel else None
    units = [_unit(unit) for unit in snapshot.units]
    notes = [] if units else [why(snapshot, "units", f"{snapshot.target} tells of no VT-d unit")]
    blocks: list[Block] = [Facts(facts)]
    if units:
        blocks.append(Table(UNIT_COLUMNS, [_row(unit) for unit in units]))
    document: documents.Info = {
        "target": snapshot.target,
        "memory": snapshot.memory,
        "xen": xen,
        "linux": linux,
        "units": units,
    }
    return Answer(document, blocks, notes=notes, absent=snapshot.absences)


def _xen(snapshot: Snapshot, facts: list[tuple[str, str]], knowledge: Knowledge | None) -> documents.Xen:
    build = f", build-id {snapshot.build_id}" if snapshot.build_id else ""
    facts.append(("xen", f"{snapshot.version or 'of unknown version'}{build}"))
    if snapshot.phys_start is not None and snapshot.page_table is not None:
        image = f"at physical {snapshot.phys_start:#x}, page tables at {snapshot.page_table:#x}"
        facts += [("image", image)] if knowledge is None else _unknown_build(knowledge, image)
    if snapshot.online:
        facts.append(("cpus", ", ".join(f"{cpu.cpu} (APIC {cpu.apic_id:#x})" for cpu in snapshot.online)))
    told = [
        ("interrupt remapping", _on(snapshot.intremap)),
        ("interrupt posting", _on(snapshot.intpost)),
        ("x2APIC", _on(snapshot.x2apic)),
        ("notification vector", _vector(snapshot.posted_intr_vector)),
        ("wakeup vector", _vector(snapshot.pi_wakeup_vector)),
    ]
    # Twelve lines say all of a Xen of which nothing was known.
    facts += told if knowledge is None else [("interrupts", ", ".join(f"{what} {value}" for what, value in told))]
    return {
        "version": snapshot.version,
        "build_id": snapshot.build_id,
        "phys_start": snapshot.phys_start,
        "page_table": snapshot.page_table,
        "cpus": [{"cpu": cpu.cpu, "apic_id": cpu.apic_id} for cpu in snapshot.online],
        "knowledge": _document(knowledge) if knowledge else None,
        "intremap": snapshot.intremap,
        "intpost": snapshot.intpost,
        "x2apic": snapshot.x2apic,
        "posted_intr_vector": snapshot.posted_intr_vector,
        "pi_wakeup_vector": snapshot.pi_wakeup_vector,
    }


def _linux(snapshot: Snapshot, facts: list[tuple[str, str]]) -> documents.Linux:
    kernel, own = snapshot.kernel, snapshot.is_linux
    assert kernel
    build = f", build-id {kernel.build_id}" if kernel.build_id else ""
    facts.append(("linux", f"{kernel.release}{build}{'' if own else ', domain 0 of this Xen'}"))
    if kernel.version:
        facts.append(("built", kernel.version))
    where = "" if kernel.phys_start is None else f"at physical {kernel.phys_start:#x}, "
    facts.append(("image", f"{where}virtual {kernel.text:#x}, page tables at {kernel.page_table:#x}"))
    facts.append(("known by", f"{kernel.found_by}: {kernel.symbols} symbols of its own, {kernel.types} types"))
    if own:
        if snapshot.online:
            facts.append(("cpus", ", ".join(f"{cpu.cpu} (APIC {cpu.apic_id:#x})" for cpu in snapshot.online)))
        facts += [
            ("interrupt remapping", _on(snapshot.intremap)),
            ("interrupt posting", _on(snapshot.intpost)),
            ("x2APIC destinations", _on(snapshot.x2apic)),
            ("kvm", _kvm(snapshot)),
        ]
    return {
        "release": kernel.release,
        "version": kernel.version,
        "build_id": kernel.build_id,
        "address": kernel.text,
        "phys_start": kernel.phys_start,
        "page_table": kernel.page_table,
        "found_by": kernel.found_by,
        "symbol_count": kernel.symbols,
        "type_count": kernel.types,
        "above_xen": not own,
        "cpus": [{"cpu": cpu.cpu, "apic_id": cpu.apic_id} for cpu in snapshot.online] if own else [],
        "intremap": snapshot.intremap if own else None,
        "intpost": snapshot.intpost if own else None,
        "x2apic": snapshot.x2apic if own else None,
        "vms": [_vm(snapshot, domain) for domain in snapshot.domains] if own else [],
    }


def _kvm(snapshot: Snapshot) -> str:
    """The VMs in words; why there are none."""
    told = [_vm(snapshot, domain) for domain in snapshot.domains]
    if not told:
        return f"no VM: {why(snapshot, 'vcpus', 'not known')}"
    words = [
        f"{vm['name']}: {vm['vcpu_count']} vCPUs, {vm['device_irq_count']} irqs of devices" for vm in told[:VMS_SHOWN]
    ]
    return "; ".join(words) + (f"; and {len(told) - VMS_SHOWN} more" if len(told) > VMS_SHOWN else "")


def _vm(snapshot: Snapshot, domain: Domain) -> documents.Vm:
    irqfds = domain.irqfds or ()
    return {
        "name": domain.name,
        "pid": domain.domain & (1 << PID_BITS) - 1,
        "vcpu_count": sum(vcpu.domain == domain.domain for vcpu in snapshot.vcpus),
        "irqfd_count": len(irqfds),
        "device_irq_count": sum(irqfd.irq is not None for irqfd in irqfds),
    }


def _unknown_build(knowledge: Knowledge, image: str) -> list[tuple[str, str]]:
    """What is known of a Xen without a profile, how well, and what would tell more."""
    origin = knowledge.image.origin
    built = [origin[key] for key in ("compiler", "built") if key in origin]
    symbols = knowledge.image.symbols
    what = "" if symbols is None or symbols.has_data else ", of functions only"
    what += f", others from {knowledge.map}" if knowledge.map else ""
    count = 0 if symbols is None else sum(1 for symbol in symbols.symbols if symbol.name)
    facts = [("built", "; ".join([*built, *([f"changeset {origin['changeset']}"] if "changeset" in origin else [])]))]
    facts.append(("image", f"{'EFI, ' if knowledge.image.is_efi else ''}{image}, {count} symbols of its own{what}"))
    alike = f", as in {', '.join(knowledge.builds[:2])}" if knowledge.builds else ""
    facts.append(("layouts", f"{knowledge}{alike}"))
    facts.append(("to know more", "vtdpi profile make XEN_SYMS (its own, with DWARF); --json names each member"))
    return [fact for fact in facts if fact[1]]


def _document(knowledge: Knowledge) -> documents.Knowledge:
    members = {
        f"{struct}.{path}": state
        for struct, verdict in knowledge.verdicts.items()
        for path, state in verdict.states.items()
    }
    score, origin = knowledge.score, knowledge.image.origin
    made: documents.Knowledge = {
        "efi": knowledge.image.is_efi,
        "score": {"proved": score[PROVED], "consistent": score[CONSISTENT], "unknown": score[UNKNOWN]},
        "builds": knowledge.builds,
        "members": members,
    }
    for name in ("changeset", "compiler", "built"):
        if name in origin:
            made[name] = origin[name]
    return made


def _on(value: bool | None) -> str:
    return "not readable" if value is None else "on" if value else "off"


def _vector(value: int | None) -> str:
    return "not readable" if value is None else f"{value:#x}" if value else "none (CPU-side posting is off)"


def _unit(unit: VtdUnit) -> documents.UnitInfo:
    known = unit.base is not None
    return {
        "unit": unit.index,
        "register_base": unit.register_base,
        "irta": unit.irta if known else None,
        "base": unit.base,
        "size": unit.size if known else None,
        "eime": bool(unit.eime) if known else None,
        "origin": unit.origin if known else UNKNOWN_TABLE,
        "cap_pi": None if unit.cap_pi is None else bool(unit.cap_pi),
    }


def _row(unit: documents.UnitInfo) -> tuple[str, ...]:
    known = unit["base"] is not None
    return (
        "?" if unit["unit"] is None else str(unit["unit"]),
        f"{unit['register_base']:#x}" if unit["register_base"] else "unknown",
        f"{unit['base']:#x}" if unit["base"] else "somewhere" if known else "unknown",
        str(unit["size"]) if known else "-",
        "-" if unit["eime"] is None else str(int(unit["eime"])),
        {None: "unknown", False: "not supported", True: "supported"}[unit["cap_pi"]],
        unit["origin"],
    )
