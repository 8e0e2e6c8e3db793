"""Linux's own view of its VT-d units: `dmar_drhd_units`, each one's `struct intel_iommu`, and who uses it.

Sources: include/linux/dmar.h, drivers/iommu/intel/iommu.h, irq_remapping.c (`ir_table`, `ir_ioapic`, `ir_hpet`).
"""

from __future__ import annotations

from inspector.base.errors import UNREADABLE, VtdpiError
from inspector.kernels.host import WHOLE_TABLE, HostUnit
from inspector.kernels.structures import BrokenList
from inspector.linux.linux import Linux
from inspector.model.absence import Absence, unreadable
from inspector.model.vtd import HPET, IOAPIC, Platform
from structs.frozen import frozen

LIST = "Linux's list of VT-d units"
ORIGIN = "Linux's struct intel_iommu"
UNITS_LIMIT = 128
QUEUE_SIZE = 256 * 16
"""QI_LENGTH descriptors of the short form."""
SCOPES = {"ir_ioapic": (IOAPIC, "ioapic_scope", 128), "ir_hpet": (HPET, "hpet_scope", 64)}
"""Arrays of who sends interrupts and is no PCI device: kind, structure, elements (MAX_IO_APICS, MAX_HPET_TBS)."""


@frozen
class Unit:
    """A unit, and the address of its `struct intel_iommu`, by which others name it."""

    iommu: int
    unit: HostUnit


def units(linux: Linux) -> tuple[list[Unit], list[Absence]]:
    """The units in Linux's order, and what is wrong with the list of them.

    Raises:
        NotMapped, NotReadable, ProfileError: nothing of it can be read.
    """
    head = linux.profile.symbol("dmar_drhd_units")
    link = linux.profile.offset("dmar_drhd_unit", "list")
    absent: list[Absence] = []
    try:
        nodes = linux.list_nodes(head, UNITS_LIMIT)
    except BrokenList as error:
        nodes = error.nodes
        absent.append(unreadable(LIST, f"{LIST}, dmar_drhd_units: {error}", "units", head))
    drhds = linux.structs("dmar_drhd_unit", [node - link for node in nodes], "reg_base_addr", "segment", "iommu")
    named = [drhd for drhd in drhds if drhd and drhd["iommu"]]
    members = linux.optional("intel_iommu", "ir_table", "qi")
    rows = linux.structs("intel_iommu", [drhd["iommu"] for drhd in named], "reg_phys", "cap", "ecap", *members)
    platform = _platform(linux)
    eime = eim(linux)
    found = []
    for index, (drhd, row) in enumerate(zip(named, rows, strict=True)):
        if row is None:
            why = f"struct intel_iommu of the unit at {drhd['reg_base_addr']:#x} cannot be read at {drhd['iommu']:#x}"
            absent.append(unreadable(LIST, why, "units", drhd["iommu"]))
            continue
        table, in_use = _table(linux, row.get("ir_table", 0), f"unit {index}", absent)
        unit = HostUnit(
            index=index,
            register_base=row["reg_phys"],
            segment=drhd["segment"],
            cap=row["cap"],
            ecap=row["ecap"],
            table=table,
            in_use=in_use,
            queue=_queue(linux, row.get("qi", 0)),
            queue_size=QUEUE_SIZE,
            platform=tuple(platform.get(drhd["iommu"], ())),
            eime=eime,
            origin=ORIGIN,
        )
        found.append(Unit(drhd["iommu"], unit))
    return found, absent


def eim(linux: Linux) -> int | None:
    """`eim_mode`: whether tables have 32-bit destinations; None where that cannot be read."""
    try:
        return int(bool(linux.variable("eim_mode", 4)))
    except UNREADABLE:
        return None


def _table(linux: Linux, address: int, name: str, absent: list[Absence]) -> tuple[int, int | None]:
    """The physical address of a unit's table, 0 if it has none, and how many entries Linux has given away."""
    if not address:
        return 0, None
    try:
        (row,) = linux.structs("ir_table", [address], "base", "bitmap")
        if row is None:
            raise VtdpiError(f"struct ir_table cannot be read at {address:#x}")
        table = linux.memory.translate(row["base"])
    except UNREADABLE as error:
        absent.append(unreadable(name, f"{name}'s remapping table: {error}", "raw", address))
        return 0, None
    bitmap = linux.memory.read_parts([(row["bitmap"], WHOLE_TABLE // 8)])[0]
    return table, None if bitmap is None else int.from_bytes(bitmap, "little").bit_count()


def _queue(linux: Linux, address: int) -> int:
    """The physical address of a unit's invalidation queue, 0 if it is not known."""
    try:
        (row,) = linux.structs("q_inval", [address], "desc") if address else (None,)
        return linux.memory.translate(row["desc"]) if row else 0
    except UNREADABLE:
        return 0


def _platform(linux: Linux) -> dict[int, list[Platform]]:
    """The IO-APICs and HPETs behind each unit, by its `struct intel_iommu`; none where they are not known."""
    found: dict[int, list[Platform]] = {}
    for symbol, (kind, struct, count) in SCOPES.items():
        try:
            rows = linux.struct_array(struct, linux.profile.symbol(symbol), count, "iommu", "id", "bus", "devfn")
        except UNREADABLE:
            continue
        for row in rows:
            if row["iommu"]:
                sid = (row["bus"] & 0xFF) << 8 | row["devfn"] & 0xFF
                found.setdefault(row["iommu"], []).append(Platform(kind, row["id"], sid))
    return found
