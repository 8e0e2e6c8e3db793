"""Who uses which interrupt-remapping index, as Xen keeps it: IO-APIC pins and MSI descriptors."""

from __future__ import annotations

from inspector.base.errors import UNREADABLE
from inspector.model.interrupts import Msi, Pin
from inspector.xen.xen import Xen
from structs.xen import variants

IRQS_LIMIT = 1 << 16
IOAPICS_LIMIT = 128
PINS_LIMIT = 256
NONE = (1 << 32) - 1
VECTORS = range(16, 256)

# PCI capability ids, as `msi_attrib.type` holds them; for what is no PCI device's, `pos` is MSI_TYPE_HPET.
MSI_KINDS: dict[int | None, str] = {0x05: "MSI", 0x11: "MSI-X"}
HPET = 1

# `struct mpc_config_ioapic`, which is an entry of the MP configuration table (MP specification 1.4, 4.3.3): type, id.
MP_IOAPIC, MP_IOAPIC_SIZE = 2, 8


def msis(xen: Xen) -> list[Msi]:
    """Every MSI that Xen has given a remapping index. Source: `irq_desc[]`, `alloc_remap_entry`.

    A VT-d unit's own MSI, which is never remapped, has a `struct msi_desc` as well and is left out.

    Raises:
        NotMapped, NotReadable, ProfileError: the table of irqs cannot be read.
    """
    count = min(xen.variable("nr_irqs", 4), IRQS_LIMIT)
    irqs = xen.struct_array("irq_desc", xen.pointer("irq_desc"), count, "irq", "msi_desc", "arch.vector")
    used = [irq for irq in irqs if irq["msi_desc"]]
    kinds = variants.optional(xen.profile, "msi_desc")
    members = ("remap_index", "dev", "gvec", "pi_desc", "msg.address_lo", *kinds)
    descs = xen.structs("msi_desc", [irq["msi_desc"] for irq in used], *members)
    devices = {desc["dev"] for desc in descs if desc and desc["dev"]}
    numbers = dict(zip(devices, xen.structs("pci_dev", list(devices), "sbdf.sbdf"), strict=True))
    return [
        Msi(
            irq=irq["irq"],
            index=desc["remap_index"],
            kind=MSI_KINDS.get(desc.get("msi_attrib.type"), "MSI") if desc["dev"] else "HPET MSI",
            device=device["sbdf.sbdf"] if (device := numbers.get(desc["dev"])) else None,
            gvec=desc["gvec"],
            pi_desc=desc["pi_desc"],
            vector=irq["arch.vector"] if irq["arch.vector"] in VECTORS else None,
            address=desc["msg.address_lo"],
        )
        for irq, desc in zip(used, descs, strict=True)
        if desc and desc["remap_index"] != NONE and (desc["dev"] or desc.get("msi_attrib.pos") == HPET)
    ]


def ioapic_pins(xen: Xen) -> list[Pin]:
    """Each pin that has a remapping index, by IO-APIC and pin. Source: `apic_pin_2_ir_idx`.

    Raises:
        NotMapped, NotReadable, ProfileError: the arrays cannot be read.
    """
    count = min(xen.variable("nr_ioapics", 4), IOAPICS_LIMIT)
    tables = xen.pointer("apic_pin_2_ir_idx")
    if not count or not tables:
        return []
    pins = [min(number, PINS_LIMIT) for number in xen.array("nr_ioapic_entries", 4, count)]
    starts = xen.array_at(tables, 8, count)
    ids = ioapic_ids(xen, count)
    return [
        Pin(apic, pin, index, ids[apic])
        for apic, (start, entries) in enumerate(zip(starts, pins, strict=True))
        for pin, index in enumerate(xen.array_at(start, 4, entries))
        if index != NONE
    ]


def ioapic_ids(xen: Xen, count: int) -> list[int | None]:
    """The APIC ids of the first `count` IO-APICs, None where they are not known. Source: `mp_ioapics`."""
    try:
        raw = xen.memory.read(xen.profile.symbol("mp_ioapics"), count * MP_IOAPIC_SIZE)
    except UNREADABLE:
        return [None] * count
    entries = [raw[at : at + MP_IOAPIC_SIZE] for at in range(0, len(raw), MP_IOAPIC_SIZE)]
    return [entry[1] if entry[0] == MP_IOAPIC else None for entry in entries]
