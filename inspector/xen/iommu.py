"""Xen's own view of its VT-d units: `acpi_drhd_units` and each one's `struct vtd_iommu` (4.13 and later)."""

from __future__ import annotations

from dataclasses import dataclass

from inspector.xen.xen import BrokenList, Xen

# IREMAP_ENTRY_NR: Xen programs IRTA.S = 15 for every unit.
ENTRIES = 1 << 16
UNITS_LIMIT = 128

# Before Xen sized the queue by the number of CPUs (4.16), it had 4 pages.
QUEUE_SLOTS = 1024
QUEUE_SLOTS_LIMIT = 1 << 15
SLOT_SIZE = 16


@dataclass(frozen=True)
class XenUnit:
    """A VT-d unit as Xen keeps it. `cap` and `ecap` are what Xen read at boot, `queue_size` is in bytes."""

    index: int
    register_base: int
    segment: int
    cap: int
    ecap: int
    table: int
    in_use: int
    queue: int
    queue_size: int


def units(xen: Xen) -> tuple[list[XenUnit], list[str]]:
    """The units in Xen's order, and what is wrong with the list of them. Addresses are physical, 0 if Xen set none up.

    Raises:
        NotMapped, NotReadable, ProfileError: nothing of it can be read.
    """
    link = xen.profile.offset("acpi_drhd_unit", "list")
    nodes: list[int] = []
    problems: list[str] = []
    try:
        nodes.extend(xen.list_nodes(xen.profile.symbol("acpi_drhd_units"), UNITS_LIMIT))
    except BrokenList as error:
        nodes, problems = error.nodes, [f"Xen's list of VT-d units, acpi_drhd_units: {error}"]
    drhds = xen.structs("acpi_drhd_unit", [node - link for node in nodes], "address", "segment", "iommu")
    found = [drhd for drhd in drhds if drhd and drhd["iommu"]]
    members = ("index", "cap", "ecap", "intremap.maddr", "intremap.num", "qinval_maddr")
    iommus = xen.structs("vtd_iommu", [drhd["iommu"] for drhd in found], *members)
    problems += [
        f"struct vtd_iommu of the unit at {drhd['address']:#x} cannot be read at {drhd['iommu']:#x}"
        for drhd, iommu in zip(found, iommus, strict=True)
        if iommu is None
    ]
    slots = (
        min(xen.variable("qi_entry_nr", 4), QUEUE_SLOTS_LIMIT) if xen.profile.has_symbol("qi_entry_nr") else QUEUE_SLOTS
    )
    read = [(drhd, iommu) for drhd, iommu in zip(found, iommus, strict=True) if iommu]
    return [
        XenUnit(
            index=iommu["index"],
            register_base=drhd["address"],
            segment=drhd["segment"],
            cap=iommu["cap"],
            ecap=iommu["ecap"],
            table=iommu["intremap.maddr"],
            in_use=iommu["intremap.num"],
            queue=iommu["qinval_maddr"],
            queue_size=slots * SLOT_SIZE,
        )
        for drhd, iommu in read
    ], problems
