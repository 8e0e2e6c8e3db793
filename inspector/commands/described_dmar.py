"""The DMAR table as Xen's boot messages tell of it (`iommu=verbose`): no bytes of it are in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.model.answer import Answer, Table
from inspector.model.snapshot import Snapshot
from inspector.model.vtd import Scope, Structure
from inspector.vtd.remapping import bdf
from structs.dmar import SCOPE_NAMES

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("STRUCTURE", "WHAT", "SCOPES")
ALL = {"DRHD": "include_pci_all", "ATSR": "all_ports"}
"""What a structure's flag is called that says that it is about all devices."""


def described(snapshot: Snapshot) -> Answer[documents.Dmar]:
    """The structures, in the table's order."""
    document: documents.Dmar = {"structures": [_document(structure) for structure in snapshot.described]}
    rows = [(each.kind, _what(each), ", ".join(map(_scope, each.scopes)) or "-") for each in snapshot.described]
    table = Table(COLUMNS, rows, "as Xen's boot messages tell it")
    note = "the table itself is not in the log: flags, ids of scopes and what Xen does not print are not known"
    return Answer(document, [table], notes=[note], absent=snapshot.absences)


def _what(structure: Structure) -> str:
    parts = []
    if structure.base is not None:
        end = "" if structure.limit is None else f"-{structure.limit:#x}"
        parts.append(f"{structure.base:#x}{end}")
    if structure.all:
        parts.append("ALL_PORTS" if structure.kind == "ATSR" else "INCLUDE_PCI_ALL")
    if structure.proximity is not None:
        parts.append(f"proximity domain {structure.proximity}")
    return ", ".join(parts) or "-"


def _scope(scope: Scope) -> str:
    name = SCOPE_NAMES.get(scope.kind, f"type {scope.kind}")
    where = bdf(_sid(scope))
    return f"{name} {where}" if scope.enumeration_id is None else f"{name} {where} id {scope.enumeration_id}"


def _sid(scope: Scope) -> int:
    return scope.start_bus << 8 | scope.path[-1].device << 3 | scope.path[-1].function


def _document(structure: Structure) -> documents.DmarStructure:
    scopes: list[documents.DeviceScope] = [
        {
            "type": scope.kind,
            "name": SCOPE_NAMES.get(scope.kind),
            "enumeration_id": scope.enumeration_id,
            "bdf": bdf(_sid(scope)),
        }
        for scope in structure.scopes
    ]
    made: documents.DmarStructure = {
        "name": structure.kind,
        "base": structure.base,
        "limit": structure.limit,
        "proximity_domain": structure.proximity,
        "scopes": scopes,
    }
    if structure.kind in ALL:
        made["flags"] = {ALL[structure.kind]: int(structure.all)}
    return made
