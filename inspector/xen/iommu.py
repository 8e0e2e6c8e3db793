"""Xen's own view of its VT-d units: `acpi_drhd_units` and each one's `struct vtd_iommu` (4.13 and later)."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.base.errors import UNREADABLE
from inspector.kernels.host import HostUnit
from inspector.kernels.structures import BrokenList
from inspector.model.absence import Absence, unreadable
from inspector.model.vtd import Platform
from inspector.xen.xen import Xen
from structs.xen import variants

UNITS_LIMIT = 128
LIST = "Xen's list of VT-d units"
PLATFORM_LIMIT = 256

SLOT_SIZE = 16


def iommus(xen: Xen) -> tuple[list[HostUnit], list[Absence]]:
    """The units in Xen's order, and what is wrong with the list of them.

    Raises:
        NotMapped, NotReadable, ProfileError: nothing of it can be read.
    """
    link = xen.profile.offset("acpi_drhd_unit", "list")
    head = xen.profile.symbol("acpi_drhd_units")
    nodes: list[int] = []
    absent: list[Absence] = []
    try:
        nodes.extend(xen.list_nodes(head, UNITS_LIMIT))
    except BrokenList as error:
        nodes = error.nodes
        absent.append(unreadable(LIST, f"{LIST}, acpi_drhd_units: {error}", "units", head))
    units = [node - link for node in nodes]
    drhds = xen.structs("acpi_drhd_unit", units, "address", "segment", "iommu")
    found = [(at, drhd) for at, drhd in zip(units, drhds, strict=True) if drhd and drhd["iommu"]]
    members = ("index", "cap", "ecap", "intremap.maddr", "intremap.num", "qinval_maddr")
    rows = xen.structs("vtd_iommu", [drhd["iommu"] for _, drhd in found], *members)
    absent += [
        unreadable(
            LIST,
            f"struct vtd_iommu of the unit at {drhd['address']:#x} cannot be read at {drhd['iommu']:#x}",
            "units",
            drhd["iommu"],
        )
        for (_, drhd), row in zip(found, rows, strict=True)
        if row is None
    ]
    slots = variants.QUEUE_SLOTS
    if xen.profile.has_symbol(variants.QUEUE_ENTRIES):
        slots = min(xen.variable(variants.QUEUE_ENTRIES, 4), variants.QUEUE_SLOTS_LIMIT)
    return [
        HostUnit(
            index=row["index"],
            register_base=drhd["address"],
            segment=drhd["segment"],
            cap=row["cap"],
            ecap=row["ecap"],
            table=row["intremap.maddr"],
            in_use=row["intremap.num"],
            queue=row["qinval_maddr"],
            queue_size=slots * SLOT_SIZE,
            platform=tuple(_platform(xen, at, f"unit {row['index']}", absent)),
        )
        for (at, drhd), row in zip(found, rows, strict=True)
        if row
    ], absent


def _platform(xen: Xen, drhd: int, name: str, absent: list[Absence]) -> Sequence[Platform]:
    """The IO-APICs and HPETs behind a unit, as Xen keeps them."""
    found: list[Platform] = []
    for kind, head, struct, number, sid in variants.PLATFORM:
        if not xen.profile.has("acpi_drhd_unit", head) or not xen.profile.has(struct, sid):
            continue
        place = drhd + xen.profile.offset("acpi_drhd_unit", head)
        try:
            link = xen.profile.offset(struct, "list")
            nodes = xen.list_nodes(place, PLATFORM_LIMIT)
            rows = xen.structs(struct, [node - link for node in nodes], number, sid)
        except UNREADABLE as error:
            absent.append(unreadable(name, f"{name}'s {head}: {error}", "platform", place))
            continue
        found += [Platform(kind, row[number], row[sid]) for row in rows if row]
    return found
