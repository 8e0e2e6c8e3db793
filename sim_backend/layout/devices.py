"""PCI devices and their MSI-X vectors: each vector's entry, its message, and what Xen keeps of both."""

from __future__ import annotations

from sim_backend.layout.builder import LayoutBuilder
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.interrupts import Interrupts, destination, irq_desc, take_entries, vector_of
from sim_backend.layout.pirqs import new_pirqs
from sim_backend.layout.vtd import ENTRY_SIZE, VtdUnit, count_used, irte
from sim_backend.memory.errors import SimError
from structs.bits import BitRecord
from structs.frozen import frozen
from structs.irte import POSTED, REMAPPED
from structs.msi import COMPATIBILITY_ADDRESS, COMPATIBILITY_DATA, REMAPPABLE_ADDRESS

MSIX_CAPABILITY = 0x11
PCIE_ENDPOINT = 1
"""DEV_TYPE_PCIe_ENDPOINT, for which Xen lets nobody but the device itself use its entries (SVT=1, SQ=0)."""
UNASSIGNED = 0xFFFF
LEVEL_ASSERT = 1


@frozen
class Msi:
    """One MSI-X vector of a device.

    Attributes:
        sid: the device, bus << 8 | devfn.
        number: which of its vectors, from 0.
        unit, index: its interrupt-remapping entry.
        irq, vector: Xen's irq and the physical vector that it gave it.
        msi_desc, pirq: physical addresses of Xen's `struct msi_desc` and `struct pirq` (0 if the build's profile does
            not describe that one).
        address, data: the message that the device sends.
    """

    sid: int
    number: int
    unit: int
    index: int
    irq: int
    vector: int
    msi_desc: int
    pirq: int
    address: int
    data: int


@frozen
class Device:
    """A PCI device: Xen's `struct pci_dev` and its vectors."""

    address: int
    msis: tuple[Msi, ...]


def add_device(
    ground: LayoutBuilder,
    interrupts: Interrupts,
    unit: VtdUnit,
    number: int,
    config: LayoutConfig,
    sid: int,
    vectors: int,
) -> Device:
    """A device with all its vectors set up, remapped to CPU 0, owned by no domain. `number` is the unit's.

    Raises:
        SimError: there are not enough irqs or entries; then nothing is changed.
    """
    free = len(interrupts.free_irqs)
    if vectors > free:
        raise SimError(f"{vectors} vectors: only {free} irqs are free; lay the machine out with more")
    indices = take_entries(ground, interrupts, unit, number, vectors)
    irqs = [interrupts.free_irqs.pop() for _ in indices]
    address = ground.new("pci_dev")
    ground.put("pci_dev", address, {"sbdf.sbdf": sid, "type": PCIE_ENDPOINT})
    for member in ("alldevs_list", "domain_list", "msi_list"):
        ground.list_init(address + ground.member("pci_dev", member))
    entry = number_of(REMAPPED, {"p": 1, "svt": 1, "sid": sid, "dst": destination(config, 0)})
    # SHV=1 with subhandle 0, as Xen writes it.
    remappable = number_of(REMAPPABLE_ADDRESS, {"prefix": 0xFEE, "format": 1, "shv": 1})
    address_lo = number_of(COMPATIBILITY_ADDRESS, {"prefix": 0xFEE})
    data = number_of(COMPATIBILITY_DATA, {"level": LEVEL_ASSERT})
    device = ground.virtual(address)
    msis = []
    for which, (index, irq, pirq) in enumerate(zip(indices, irqs, new_pirqs(ground, irqs), strict=True)):
        vector = vector_of(irq)
        ground.memory.write(irte(unit, index), REMAPPED["vector"].insert(entry, vector).to_bytes(ENTRY_SIZE, "little"))
        sent = REMAPPABLE_ADDRESS["handle"].insert(remappable, index)
        desc = _msi_desc(ground, device, which, irq, index, directed(address_lo, data, config.apics[0], vector))
        ground.list_add_tail(address + ground.member("pci_dev", "msi_list"), desc + ground.member("msi_desc", "list"))
        ground.put("irq_desc", irq_desc(ground, irq), {"msi_desc": ground.virtual(desc), "arch.vector": vector})
        msis.append(Msi(sid, which, number, index, irq, vector, desc, pirq, sent, 0))
    return Device(address, tuple(msis))


def directed(address_lo: int, data: int, apic: int, vector: int) -> dict[str, int]:
    """What Xen keeps of a message, which is as it would be without remapping, with this destination and vector.

    Source: `msi_compose_msg`, `set_msi_affinity`.
    """
    return {
        "msg.address_lo": COMPATIBILITY_ADDRESS["dst"].insert(address_lo, apic & 0xFF),
        "msg.address_hi": apic & -0x100,
        "msg.data": COMPATIBILITY_DATA["vector"].insert(data, vector),
        "msg.dest32": apic,
    }


def _msi_desc(ground: LayoutBuilder, device: int, which: int, irq: int, index: int, message: dict[str, int]) -> int:
    """A new `struct msi_desc` of the device whose `struct pci_dev` is at this virtual address."""
    desc = ground.new("msi_desc")
    values = {
        "msi_attrib.type": MSIX_CAPABILITY,
        "msi_attrib.entry_nr": which,
        "irte_initialized": 1,
        "dev": device,
        "irq": irq,
        "remap_index": index,
    }
    ground.put("msi_desc", desc, values | message)
    return desc


def remove_device(ground: LayoutBuilder, interrupts: Interrupts, units: list[VtdUnit], device: Device) -> None:
    """Take a device away: its entries become all zeros, what Xen kept of it is freed."""
    for msi in device.msis:
        unit = units[msi.unit]
        ground.memory.write(irte(unit, msi.index), bytes(ENTRY_SIZE))
        count_used(ground, unit, -1)
        interrupts.first_free[msi.unit] = min(interrupts.first_free[msi.unit], msi.index)
        ground.put("irq_desc", irq_desc(ground, msi.irq), {"msi_desc": 0, "arch.vector": UNASSIGNED})
        interrupts.free_irqs.append(msi.irq)
        ground.heap.release(msi.msi_desc, ground.size("msi_desc"))
        if msi.pirq:
            ground.heap.release(msi.pirq, ground.size("pirq"))
    ground.list_del(device.address + ground.member("pci_dev", "domain_list"))
    ground.heap.release(device.address, ground.size("pci_dev"))


def give_device(ground: LayoutBuilder, device: Device, domain: int | None) -> None:
    """Link a device to its new owner, the `struct domain` at this address, or to nobody."""
    node = device.address + ground.member("pci_dev", "domain_list")
    ground.list_del(node)
    ground.put("pci_dev", device.address, {"domain": 0 if domain is None else ground.virtual(domain)})
    if domain is not None:
        ground.list_add_tail(domain + ground.member("domain", "pdev_list"), node)


def post(ground: LayoutBuilder, unit: VtdUnit, msi: Msi, descriptor: int, vector: int) -> None:
    """Make an MSI a posted one, at once: entry and `struct msi_desc` as `pi_update_irte` leaves them."""
    entry = number_of(POSTED, {"p": 1, "im": 1, "vector": vector, "pda": descriptor, "sid": msi.sid, "svt": 1})
    ground.memory.write(irte(unit, msi.index), entry.to_bytes(ENTRY_SIZE, "little"))
    ground.put("msi_desc", msi.msi_desc, {"gvec": vector, "pi_desc": ground.virtual(descriptor)})


def number_of(record: BitRecord, values: dict[str, int]) -> int:
    """A record as an integer: much faster than to build its bytes, for there may be 65,536 of them."""
    number = 0
    for name, value in values.items():
        number = record[name].insert(number, value)
    return number
