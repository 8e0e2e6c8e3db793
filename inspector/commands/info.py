"""The command `info`."""

from __future__ import annotations

from typing import Any

from inspector.base.arguments import NoArguments
from inspector.base.errors import UNREADABLE
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.model.answer import Answer, Block, Facts, Table
from inspector.vtd.units import Unit
from inspector.xen.cpus import online
from inspector.xen.knowledge import Knowledge
from inspector.xen.xen import Xen

FLAGS = ("iommu_intremap", "iommu_intpost", "x2apic_enabled")
VECTORS = ("posted_intr_vector", "pi_wakeup_vector")
UNIT_COLUMNS = ("UNIT", "REGISTERS", "TABLE", "ENTRIES", "EIME", "POSTING", "KNOWN FROM")


@command(
    NoArguments,
    Example("live", "info"),
    Example("dump FILE", "info"),
)
def info(inspection: Inspection, arguments: NoArguments) -> Answer:
    """What this target is: Xen's version and build-id, its CPUs, its VT-d units, which interrupt features are on."""
    ranges = inspection.target.memory()
    memory = sum(known.size for known in ranges) if ranges else None
    facts = [("target", inspection.target.description)]
    if memory:
        facts.append(("memory", f"{memory / (1 << 20):.1f} MiB in {len(ranges or ())} ranges"))
    problems: list[str] = []
    xen = _xen(inspection.xen, facts, problems) if inspection.xen else None
    units, notes = _units(inspection)
    blocks: list[Block] = [Facts(facts)]
    if units:
        blocks.append(Table(UNIT_COLUMNS, [_row(unit) for unit in units]))
    document = {"target": inspection.target.description, "memory": memory, "xen": xen, "units": units}
    return Answer(document, blocks, [*inspection.problems, *problems], notes)


def _xen(xen: Xen, facts: list[tuple[str, str]], problems: list[str]) -> dict[str, Any]:
    image = f"at physical {xen.phys_start:#x}, page tables at {xen.memory.root:#x}"
    facts.append(("xen", f"{xen.profile.version}, build-id {xen.profile.build_id}"))
    if xen.knowledge is None:
        facts.append(("image", image))
    else:
        facts += _unknown_build(xen.knowledge, image)
    values: dict[str, Any] = {}
    for name in (*FLAGS, *VECTORS):
        try:
            values[name] = xen.variable(name, 1)
        except UNREADABLE as error:
            values[name] = None
            problems.append(f"{name}: {error}")
    try:
        cpus = [{"cpu": cpu, "apic_id": apic} for cpu, apic in online(xen).items()]
        facts.append(("cpus", ", ".join(f"{cpu['cpu']} (APIC {cpu['apic_id']:#x})" for cpu in cpus)))
    except UNREADABLE as error:
        cpus = []
        problems.append(f"online CPUs: {error}")
    told = [
        ("interrupt remapping", _on(values["iommu_intremap"])),
        ("interrupt posting", _on(values["iommu_intpost"])),
        ("x2APIC", _on(values["x2apic_enabled"])),
        ("notification vector", _vector(values["posted_intr_vector"])),
        ("wakeup vector", _vector(values["pi_wakeup_vector"])),
    ]
    # Twelve lines say all of a Xen of which nothing was known.
    facts += told if xen.knowledge is None else [("interrupts", ", ".join(f"{what} {value}" for what, value in told))]
    return {
        "version": xen.profile.version,
        "build_id": xen.profile.build_id,
        "phys_start": xen.phys_start,
        "page_table": xen.memory.root,
        "cpus": cpus,
        "knowledge": _document(xen.knowledge) if xen.knowledge else None,
        **values,
    }


def _unknown_build(knowledge: Knowledge, image: str) -> list[tuple[str, str]]:
    """What is known of a Xen without a profile, how well, and what would tell more."""
    origin = knowledge.image.origin
    built = [origin[key] for key in ("compiler", "built") if key in origin]
    symbols = knowledge.image.symbols
    what = "" if symbols is None or symbols.has_data else ", of functions only"
    count = 0 if symbols is None else sum(1 for symbol in symbols.symbols if symbol.name)
    facts = [("built", "; ".join([*built, *([f"changeset {origin['changeset']}"] if "changeset" in origin else [])]))]
    facts.append(("image", f"{'EFI, ' if knowledge.image.is_efi else ''}{image}, {count} symbols of its own{what}"))
    alike = f", as in {', '.join(knowledge.builds[:2])}" if knowledge.builds else ""
    facts.append(("layouts", f"{knowledge}{alike}"))
    facts.append(("to know more", "vtdpi profile make XEN_SYMS (its own, with DWARF); --json names each member"))
    return [fact for fact in facts if fact[1]]


def _document(knowledge: Knowledge) -> dict[str, Any]:
    members = {
        f"{struct}.{path}": state
        for struct, verdict in knowledge.verdicts.items()
        for path, state in verdict.states.items()
    }
    return {
        **knowledge.image.origin,
        "efi": knowledge.image.is_efi,
        "score": knowledge.score,
        "builds": knowledge.builds,
        "members": members,
    }


def _on(value: int | None) -> str:
    return "not readable" if value is None else "on" if value else "off"


def _vector(value: int | None) -> str:
    return "not readable" if value is None else f"{value:#x}" if value else "none (CPU-side posting is off)"


def _units(inspection: Inspection) -> tuple[list[dict[str, Any]], list[str]]:
    try:
        return [_unit(unit) for unit in inspection.units], []
    except UNREADABLE as error:
        return [], [str(error)]


def _unit(unit: Unit) -> dict[str, Any]:
    table: dict[str, Any]
    try:
        found = unit.table
        table = {
            "irta": found.irta,
            "base": found.base,
            "size": found.entries,
            "eime": found.eime,
            "origin": found.origin,
        }
    except UNREADABLE:
        table = {"irta": None, "base": None, "size": None, "eime": None, "origin": "registers not readable here"}
    try:
        posting = unit.capabilities["pi"]
    except UNREADABLE:
        posting = None
    return {"index": unit.index, "register_base": unit.register_base, **table, "cap_pi": posting}


def _row(unit: dict[str, Any]) -> tuple[str, ...]:
    known = unit["base"] is not None
    return (
        str(unit["index"]),
        f"{unit['register_base']:#x}",
        f"{unit['base']:#x}" if known else "unknown",
        str(unit["size"]) if known else "-",
        str(unit["eime"]) if known else "-",
        {None: "unknown", 0: "not supported", 1: "supported"}[unit["cap_pi"]],
        unit["origin"],
    )
