"""Who uses which interrupt-remapping index, as Xen keeps it: IO-APIC pins and MSI descriptors."""

from __future__ import annotations

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.model.interrupts import Msi, Pin
from inspector.xen import functions
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


# `struct irq_pin_list` (io_apic.c), the same since 3.3: the place of an irq, and of its next pin in the same array.
IRQ_PIN = np.dtype([("apic", "<i4"), ("pin", "<i4"), ("next", "<u4")])


def ioapic_pins(xen: Xen) -> list[Pin]:
    """Each pin that has a remapping index, by IO-APIC and pin. Source: `apic_pin_2_ir_idx`.

    A crash overwrites their entries (`disable_IO_APIC`, before interrupt remapping is turned off if it is at all), and
    with that the vectors by which pin and irq are joined: there the irq is what Xen's `irq_2_pin` says.

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
    crashed = xen.memory.target.crash is not None
    irqs = irqs_of_pins(xen) if crashed else {}
    return [
        Pin(apic, pin, index, ids[apic], irq=irqs.get((apic, pin)), rewritten=crashed)
        for apic, (start, entries) in enumerate(zip(starts, pins, strict=True))
        for pin, index in enumerate(xen.array_at(start, 4, entries))
        if index != NONE
    ]


def irqs_of_pins(xen: Xen) -> dict[tuple[int, int], int]:
    """The irq of each IO-APIC's pin that has one. Source: `irq_2_pin`; empty where that cannot be read."""
    try:
        count = min(xen.variable("nr_irqs_gsi", 4), IRQS_LIMIT)
        (start,) = xen.array_at(functions.address_of(xen, "irq_2_pin"), 8, 1)
        raw = xen.memory.read(start, 2 * count * IRQ_PIN.itemsize)
    except UNREADABLE:
        return {}
    entries = np.frombuffer(raw, IRQ_PIN).tolist()
    found: dict[tuple[int, int], int] = {}
    for irq in range(count):
        at, steps = irq, 0
        while steps <= PINS_LIMIT:
            apic, pin, at = entries[at]
            if pin >= 0:
                found.setdefault((apic, pin), irq)
            if not count <= at < len(entries):
                break
            steps += 1
    return found


def ioapic_ids(xen: Xen, count: int) -> list[int | None]:
    """The APIC ids of the first `count` IO-APICs, None where they are not known. Source: `mp_ioapics`."""
    try:
        raw = xen.memory.read(xen.profile.symbol("mp_ioapics"), count * MP_IOAPIC_SIZE)
    except UNREADABLE:
        return [None] * count
    entries = [raw[at : at + MP_IOAPIC_SIZE] for at in range(0, len(raw), MP_IOAPIC_SIZE)]
    return [entry[1] if entry[0] == MP_IOAPIC else None for entry in entries]
