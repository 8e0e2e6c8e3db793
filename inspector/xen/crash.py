"""A Xen that crashed and started another kernel: which variables the crash changed, and what they were before.

Sources: xen/arch/x86/apic.c (`disable_local_APIC`), io_apic.c (`disable_IO_APIC`), and
xen/drivers/passthrough/iommu.c (`iommu_crash_shutdown`).
"""

from __future__ import annotations

from dataclasses import replace

from inspector.base.errors import UNREADABLE
from inspector.model.snapshot import MARKER
from inspector.xen import domains, iommu
from inspector.xen.xen import Xen
from structs.apic import XAPIC_DESTINATION
from structs.columns import columns, records
from structs.irte import IRTE, REMAPPED


def corrected(xen: Xen) -> tuple[Xen, list[str]]:
    """The Xen with what held before the crash in place of what the crash wrote, and what a reader should know."""
    notes = [
        "this is what a crashed Xen left: entries of IO-APIC pins were rewritten by the crash itself (vector 0, edge);"
        " what CPUs do is what they did before they were stopped"
    ]
    values: dict[str, int] = {}
    if _variable(xen, "x2apic_enabled") == 0:
        # Once on, x2APIC is only ever off again by the crash: back to how the firmware had it.
        known, why = _x2apic(xen)
        values["x2apic_enabled"] = int(bool(known))
        if known is not False:
            notes.append(f"x2APIC: {why}; the crash sets x2apic_enabled back to what it was at boot")
    if _variable(xen, "iommu_intremap") == 0:
        notes.append("interrupt remapping reads as off; a crash with iommu=crash-disable leaves it so")
    return replace(xen, corrected=values), notes


def _variable(xen: Xen, name: str) -> int | None:
    try:
        return xen.variable(name, 1)
    except UNREADABLE:
        return None


def _x2apic(xen: Xen) -> tuple[bool | None, str]:
    """Whether it was in x2APIC mode, as far as that can be told, and by what."""
    try:
        if xen.profile.has_symbol("genapic"):
            name = xen.memory.read(xen.pointer("genapic"), 16).split(b"\0")[0]
            if name:
                return name.startswith(b"x2apic"), f"its APIC driver is {name.decode('ascii', 'backslashreplace')}"
        found = _destinations(xen)
    except UNREADABLE as error:
        return None, f"not known ({error})"
    if not found:
        return None, "not known, for no entry and no descriptor names another CPU than APIC 0"
    # No destination in xAPIC form has bits outside 15:8.
    wide = all(destination & ~XAPIC_DESTINATION for destination in found)
    return wide, f"{'on' if wide else 'off'} by the destinations in its entries and descriptors"


def _destinations(xen: Xen) -> list[int]:
    """The destinations in remapping entries and descriptors that name another CPU than APIC 0."""
    found: list[int] = []
    units, _ = iommu.iommus(xen)
    for unit in units:
        if not unit.table:
            continue
        table = records(REMAPPED, xen.memory.target.read(unit.table, unit.entries * IRTE.size))
        entries = columns(REMAPPED, table, ["p", "im", "dst"])
        chosen = (entries["p"] == 1) & (entries["im"] == 0) & (entries["dst"] != 0)
        found += entries["dst"][chosen].tolist()
    _, vcpus, _ = domains.domains(xen)
    found += [vcpu.pi.ndst for vcpu in vcpus if vcpu.pi and vcpu.pi.ndst not in (0, MARKER)]
    return found
