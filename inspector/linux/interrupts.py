"""Who uses which interrupt-remapping entry, as Linux keeps it: IO-APIC pins, and MSIs of devices and timers.

Sources: drivers/iommu/intel/irq_remapping.c (`struct intel_ir_data`, `struct irq_2_iommu`), arch/x86/kernel/apic/
io_apic.c (`struct mp_chip_data`, `struct irq_pin_list`), vector.c (`struct apic_chip_data`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from inspector.base.errors import UNREADABLE
from inspector.linux.irq_chain import HPET, IO_APIC, LOCAL_APIC, REMAPPING, LinuxIrq
from inspector.linux.linux import Linux
from inspector.model.absence import Absence, unreadable
from inspector.model.interrupts import Irq, Msi, Pin
from structs.frozen import frozen
from structs.irte import POSTED, REMAPPED

IOAPICS_LIMIT = 128
VECTORS = range(16, 256)
PCI_NAME = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
"""What Linux calls a PCI device (pci_setup_device)."""

DISABLED, MASKED, IN_PROGRESS = 1 << 16, 1 << 17, 1 << 18
"""Of `irq_data`'s state (include/linux/irq.h): IRQD_IRQ_DISABLED, IRQD_IRQ_MASKED, IRQD_IRQ_INPROGRESS."""
STATUS = {IN_PROGRESS: 1 << 0, DISABLED: 1 << 1}
STATUS_PENDING = 1 << 2
"""The same as Xen's `irq_desc.status`, which `inspector.model.interrupts.Irq` has."""


@frozen
class Entry:
    """An irq's remapping entry: the unit's `struct intel_iommu`, the index, and what Linux wrote there.

    `posted_msi`: it posts to a CPU's own descriptor. `posted_vcpu`: it posts to a vCPU's, and `written` is what it was
    before; None if this build keeps no such mark.
    """

    iommu: int
    index: int
    written: int
    posted_msi: bool
    posted_vcpu: bool | None = None


def entries(linux: Linux, irqs: Sequence[LinuxIrq], absent: list[Absence]) -> dict[int, Entry]:
    """The remapping entry of each irq that has one, by irq. Raises ProfileError."""
    found: dict[int, Entry] = {}
    chosen = [(irq, link.data) for irq in irqs if (link := irq.link(REMAPPING)) and link.data]
    own = linux.optional("irq_2_iommu", "posted_msi", "posted_vcpu")
    paths = [f"irq_2_iommu.{name}" for name in ("iommu", "irte_index", "sub_handle", *own)]
    rows = linux.structs("intel_ir_data", [data for _, data in chosen], *paths)
    written = linux.memory.read_parts(
        [(data + linux.profile.offset("intel_ir_data", "irte_entry"), REMAPPED.size) for _, data in chosen]
    )
    for (irq, data), row, raw in zip(chosen, rows, written, strict=True):
        if row is None or raw is None:
            why = f"its struct intel_ir_data at {data:#x} cannot be read"
            absent.append(unreadable(f"irq {irq.irq}", why, "index", data))
            continue
        if iommu := row["irq_2_iommu.iommu"]:
            index = row["irq_2_iommu.irte_index"] + row["irq_2_iommu.sub_handle"]
            posted = bool(row.get("irq_2_iommu.posted_msi"))
            mark = row.get("irq_2_iommu.posted_vcpu")
            to_vcpu = None if mark is None else bool(mark)
            found[irq.irq] = Entry(iommu, index, int.from_bytes(raw, "little"), posted, to_vcpu)
    return found


def vectors(linux: Linux, irqs: Sequence[LinuxIrq]) -> dict[int, int]:
    """The vector of each irq that has one on some CPU, by irq."""
    chosen = [(irq.irq, link.data) for irq in irqs if (link := irq.link(LOCAL_APIC)) and link.data]
    rows = linux.structs("apic_chip_data", [data for _, data in chosen], "vector")
    return {irq: row["vector"] for (irq, _), row in zip(chosen, rows, strict=True) if row and row["vector"] in VECTORS}


def msis(linux: Linux, irqs: Sequence[LinuxIrq], entries: Mapping[int, Entry], units: Mapping[int, int]) -> list[Msi]:
    """The MSIs that have a remapping entry. `units`: a unit's index by its `struct intel_iommu`."""
    chosen = [irq for irq in irqs if irq.irq in entries and irq.link(IO_APIC) is None]
    is_msix = linux.optional("msi_desc", "pci.msi_attrib.is_msix", "msi_attrib.is_msix")
    descs = linux.structs("msi_desc", [irq.msi_desc for irq in chosen], "dev", *is_msix)
    devices = _devices(linux, [desc["dev"] for desc in descs if desc and desc["dev"]])
    known = vectors(linux, chosen)
    made = []
    for irq, desc in zip(chosen, descs, strict=True):
        entry = entries[irq.irq]
        posted = bool(entry.written & REMAPPED["im"].mask)
        kind = "MSI-X" if desc and is_msix and desc[is_msix[0]] else "MSI"
        made.append(
            Msi(
                irq=irq.irq,
                index=entry.index,
                kind="HPET MSI" if irq.link(HPET) else kind,
                device=devices.get(desc["dev"]) if desc else None,
                gvec=POSTED["vector"].extract(entry.written) if posted and not entry.posted_msi else 0,
                pi_desc=POSTED["pda"].extract(entry.written) if posted and not entry.posted_msi else 0,
                vector=known.get(irq.irq),
                host_masked=bool(irq.state & MASKED),
                unit=units.get(entry.iommu),
                to_vcpu=None if entry.posted_msi else entry.posted_vcpu,
            )
        )
    return made


def pins(linux: Linux, irqs: Sequence[LinuxIrq], entries: Mapping[int, Entry], units: Mapping[int, int]) -> list[Pin]:
    """Each IO-APIC's pin that has a remapping entry. Raises NotMapped, NotReadable, ProfileError."""
    chosen = [(irq, link) for irq in irqs if irq.irq in entries and (link := irq.link(IO_APIC))]
    heads = [link.data + linux.profile.offset("mp_chip_data", "irq_2_pin") for _, link in chosen]
    firsts = linux.pointers([head + linux.profile.offset("list_head", "next") for head in heads])
    link_at = linux.profile.offset("irq_pin_list", "list")
    rows = linux.structs("irq_pin_list", [(node or 0) - link_at for node in firsts], "apic", "pin")
    ids = ioapic_ids(linux)
    known = vectors(linux, [irq for irq, _ in chosen])
    found = []
    for (irq, _), row in zip(chosen, rows, strict=True):
        if row is None or row["apic"] >= IOAPICS_LIMIT:
            continue
        entry = entries[irq.irq]
        vector = known.get(irq.irq)
        apic, unit = row["apic"], units.get(entry.iommu)
        found.append(Pin(apic, row["pin"], entry.index, ids.get(apic), vector=vector, irq=irq.irq, unit=unit))
    return sorted(found, key=lambda pin: (pin.ioapic, pin.pin))


def ioapic_ids(linux: Linux) -> dict[int, int]:
    """The APIC id of each IO-APIC, by its number. Source: `ioapics`; empty where that cannot be read."""
    try:
        count = min(linux.variable("nr_ioapics", 4), IOAPICS_LIMIT)
        rows = linux.struct_array("ioapic", linux.profile.symbol("ioapics"), count, "mp_config.apicid")
    except UNREADABLE:
        return {}
    return {number: row["mp_config.apicid"] for number, row in enumerate(rows)}


def model_irqs(linux: Linux, irqs: Sequence[LinuxIrq]) -> list[Irq]:
    """The irqs as a snapshot has them."""
    known = vectors(linux, irqs)
    return [
        Irq(
            irq=irq.irq,
            vector=known.get(irq.irq),
            type=irq.label or None,
            status=sum(bit for state, bit in STATUS.items() if irq.state & state) | irq.pending * STATUS_PENDING,
            affinity=irq.affinity,
            cpus=irq.effective,
            action=", ".join(irq.actions) or None,
        )
        for irq in irqs
        if irq.chip
    ]


def _devices(linux: Linux, addresses: Sequence[int]) -> dict[int, int]:
    """The segment, bus, device and function of each `struct device` that is a PCI device, by its address."""
    wanted = sorted(set(addresses))
    rows = linux.structs("device", wanted, "kobj.name")
    places = [(at, row["kobj.name"]) for at, row in zip(wanted, rows, strict=True) if row]
    found = {}
    for (at, _), text in zip(places, linux.strings([name for _, name in places]), strict=True):
        if match := PCI_NAME.fullmatch(text or ""):
            segment, bus, device, function = (int(part, 16) for part in match.groups())
            found[at] = segment << 16 | bus << 8 | (device & 31) << 3 | function
    return found
