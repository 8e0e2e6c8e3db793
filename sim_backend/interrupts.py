"""Interrupt sources: IO-APIC pins and PCI devices' MSI-X vectors, each with its entry and with what Xen keeps of it."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.config import LayoutConfig
from sim_backend.errors import SimError
from sim_backend.firmware import ioapic_sid
from sim_backend.ground import Ground
from sim_backend.memory import PAGE
from sim_backend.vtd import ENTRIES, ENTRY_SIZE, VtdUnit, count_used, irte
from structs.bits import BitRecord
from structs.ioapic import REMAPPABLE as REMAPPABLE_RTE
from structs.irte import POSTED, REMAPPED, dst_from_apic_id
from structs.msi import REMAPPABLE_ADDRESS
from structs.xen.profile import POINTER_SIZE

DEVICE_STATE = 1 << 52
"""Registers that a CPU cannot address lie here, above all physical addresses: part of memory, so that they are copied,
compared and hashed with it. A local APIC page for each CPU, then a page of redirection entries for each IO-APIC."""

IOAPIC_STATE = DEVICE_STATE + (1 << 24)
IOAPIC_PINS = 24
IOAPIC_VERSION = 0x20
IOAPIC_ADDRESS = 0xFEC0_0000
MP_IOAPIC = 2
LEGACY_IRQS = 16
UNASSIGNED = -1

MSIX_CAPABILITY = 0x11
PCIE_ENDPOINT = 1
"""DEV_TYPE_PCIe_ENDPOINT, for which Xen lets nobody but the device itself use its entries (SVT=1, SQ=0)."""
EDGE_PHYSICAL_FIXED = {"p": 1, "svt": 1}
FIRST_VECTOR, LAST_VECTOR = 0x20, 0xDF


@dataclass(frozen=True)
class Msi:
    """One MSI-X vector of a device.

    Attributes:
        sid: the device, bus << 8 | devfn.
        number: which of its vectors, from 0.
        unit, index: its interrupt-remapping entry.
        irq, vector: Xen's irq and the physical vector that it gave it.
        msi_desc: physical address of Xen's `struct msi_desc`.
        address, data: the message that the device sends.
    """

    sid: int
    number: int
    unit: int
    index: int
    irq: int
    vector: int
    msi_desc: int
    address: int
    data: int


@dataclass(frozen=True)
class Device:
    """A PCI device: Xen's `struct pci_dev` and its vectors."""

    address: int
    msis: tuple[Msi, ...]


class Interrupts:
    """Which irqs and entries are free.

    Attributes:
        free_irqs: irqs that no MSI has, the next one last.
        first_free: for each unit, an index below which no entry is free.
        devices: by bus << 8 | devfn.
    """

    def __init__(self, units: int) -> None:
        self.free_irqs: list[int] = []
        self.first_free = [0] * units
        self.devices: dict[int, Device] = {}

    def copy(self) -> Interrupts:
        """One of the same state that goes its own way."""
        other = Interrupts(0)
        other.free_irqs, other.first_free = self.free_irqs.copy(), self.first_free.copy()
        other.devices = self.devices.copy()
        return other


def rte(ioapic: int, pin: int) -> int:
    """Where a redirection entry of an IO-APIC is kept, 8 bytes."""
    return IOAPIC_STATE + ioapic * PAGE + pin * 8


def lapic(cpu: int) -> int:
    """Where a CPU's local APIC registers are kept: a page laid out as the APIC's (ISR at 0x100, IRR at 0x200)."""
    return DEVICE_STATE + cpu * PAGE


def lay_out(ground: Ground, interrupts: Interrupts, units: list[VtdUnit], config: LayoutConfig) -> None:
    """The IO-APICs with all pins remapped, and as many irqs as the machine asks for."""
    memory = ground.memory
    memory.add(DEVICE_STATE, config.cpus * PAGE)
    memory.add(IOAPIC_STATE, config.ioapics * PAGE)
    pins = config.ioapics * IOAPIC_PINS
    count = pins + config.irqs
    memory.write(_irq_table(ground, count), b"".join(_irq(ground, irq) for irq in range(count)))
    interrupts.free_irqs = list(range(count - 1, pins - 1, -1))
    ground.set_variable("nr_irqs", 4, count)
    ground.set_variable("nr_irqs_gsi", 4, pins)
    ground.set_variable("nr_ioapics", 4, config.ioapics)
    tables = ground.heap.small(memory, config.ioapics * POINTER_SIZE)
    ground.set_variable("apic_pin_2_ir_idx", POINTER_SIZE, ground.virtual(tables))
    for ioapic in range(config.ioapics):
        _ioapic(ground, interrupts, units[-1], tables, ioapic, config)


def _irq_table(ground: Ground, count: int) -> int:
    size = ground.size("irq_desc") * count
    table = ground.new_pages(-(-size // PAGE))
    ground.set_variable("irq_desc", POINTER_SIZE, ground.virtual(table))
    return table


def _irq(ground: Ground, irq: int) -> bytes:
    raw = bytearray(ground.size("irq_desc"))
    for path, value, size in (("irq", irq, 4), ("arch.vector", UNASSIGNED, 2), ("arch.old_vector", UNASSIGNED, 2)):
        at = ground.member("irq_desc", path)
        raw[at : at + size] = value.to_bytes(size, "little", signed=True)
    return bytes(raw)


def _ioapic(
    ground: Ground, interrupts: Interrupts, unit: VtdUnit, tables: int, number: int, config: LayoutConfig
) -> None:
    """One IO-APIC: the pins of legacy irqs are set up, for the others there is a blank entry, as Xen leaves them."""
    memory = ground.memory
    indices = ground.heap.small(memory, IOAPIC_PINS * 4)
    memory.set_u64(tables + number * POINTER_SIZE, ground.virtual(indices))
    memory.set_u32(ground.symbol("nr_ioapic_entries") + number * 4, IOAPIC_PINS)
    node = ground.new("acpi_ioapic_unit")
    sid = ioapic_sid(number)
    ground.put("acpi_ioapic_unit", node, {"apic_id": number, "ioapic.info": sid})
    ground.list_add_tail(unit.drhd + ground.member("acpi_drhd_unit", "ioapic_list"), node)
    if ground.profile.has("mpc_config_ioapic", "mpc_apicid"):
        place = ground.symbol("mp_ioapics") + number * ground.size("mpc_config_ioapic")
        about = {"mpc_type": MP_IOAPIC, "mpc_apicid": number, "mpc_apicver": IOAPIC_VERSION, "mpc_flags": 1}
        ground.put("mpc_config_ioapic", place, about | {"mpc_apicaddr": IOAPIC_ADDRESS + number * PAGE})
    for pin in range(IOAPIC_PINS):
        index = _take_entry(ground, interrupts, unit, config.units - 1)
        irq = number * IOAPIC_PINS + pin
        used = irq < LEGACY_IRQS
        vector = _vector(irq) if used else 0
        entry = EDGE_PHYSICAL_FIXED | {"sid": sid, "vector": vector, "dst": _destination(config, 0) if used else 0}
        memory.write(irte(unit, index), REMAPPED.build(entry))
        memory.set_u32(indices + pin * 4, index)
        redirection = {"format": 1, "index": index, "vector": vector, "mask": int(not used)}
        memory.write(rte(number, pin), REMAPPABLE_RTE.build(redirection))
        if used:
            ground.put("irq_desc", irq_desc(ground, irq), {"arch.vector": vector})


def irq_desc(ground: Ground, irq: int) -> int:
    """Where an irq's `struct irq_desc` is."""
    return ground.physical(ground.memory.u64(ground.symbol("irq_desc"))) + irq * ground.size("irq_desc")


def add_device(
    ground: Ground, interrupts: Interrupts, unit: VtdUnit, number: int, config: LayoutConfig, sid: int, vectors: int
) -> Device:
    """A device with all its vectors set up, remapped to CPU 0, owned by no domain. `number` is the unit's."""
    if sid in interrupts.devices:
        raise SimError(f"there already is a device {sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}")
    if vectors > len(interrupts.free_irqs):
        raise SimError(
            f"{vectors} vectors: only {len(interrupts.free_irqs)} irqs are free; lay the machine out with more"
        )
    address = ground.new("pci_dev")
    ground.put("pci_dev", address, {"sbdf.sbdf": sid, "type": PCIE_ENDPOINT})
    for member in ("alldevs_list", "domain_list", "msi_list"):
        ground.list_init(address + ground.member("pci_dev", member))
    entry = _number(REMAPPED, EDGE_PHYSICAL_FIXED | {"sid": sid, "dst": _destination(config, 0)})
    desc = {"msi_attrib.type": MSIX_CAPABILITY, "irte_initialized": 1, "dev": ground.virtual(address)}
    fields = _Message(_number(REMAPPABLE_ADDRESS, {"prefix": 0xFEE, "format": 1, "shv": 1}), entry, desc)
    msis = tuple(_msi(ground, interrupts, unit, number, address, sid, which, fields) for which in range(vectors))
    device = interrupts.devices[sid] = Device(address, msis)
    return device


@dataclass(frozen=True)
class _Message:
    """What all vectors of a device have in common: MSI address, entry, members of `struct msi_desc`."""

    address: int
    entry: int
    desc: dict[str, int]


def _msi(
    ground: Ground,
    interrupts: Interrupts,
    unit: VtdUnit,
    number: int,
    device: int,
    sid: int,
    which: int,
    common: _Message,
) -> Msi:
    index = _take_entry(ground, interrupts, unit, number)
    irq = interrupts.free_irqs.pop()
    vector = _vector(irq)
    entry = REMAPPED["vector"].insert(common.entry, vector)
    ground.memory.write(irte(unit, index), entry.to_bytes(ENTRY_SIZE, "little"))
    # SHV=1 with subhandle 0, as Xen writes it.
    address, data = REMAPPABLE_ADDRESS["handle"].insert(common.address, index), 0
    desc = ground.new("msi_desc")
    own = {"msi_attrib.entry_nr": which, "irq": irq, "remap_index": index, "msg.address_lo": address, "msg.data": data}
    ground.put("msi_desc", desc, common.desc | own)
    ground.list_add_tail(device + ground.member("pci_dev", "msi_list"), desc + ground.member("msi_desc", "list"))
    ground.put("irq_desc", irq_desc(ground, irq), {"msi_desc": ground.virtual(desc), "arch.vector": vector})
    return Msi(sid, which, number, index, irq, vector, desc, address, data)


def remove_device(ground: Ground, interrupts: Interrupts, units: list[VtdUnit], sid: int) -> None:
    """Take a device away: its entries become all zeros, what Xen kept of it is freed."""
    device = interrupts.devices.pop(sid, None)
    if device is None:
        raise SimError(f"there is no device {sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}")
    for msi in device.msis:
        ground.memory.write(irte(units[msi.unit], msi.index), bytes(ENTRY_SIZE))
        count_used(ground, units[msi.unit], -1)
        interrupts.first_free[msi.unit] = min(interrupts.first_free[msi.unit], msi.index)
        ground.put("irq_desc", irq_desc(ground, msi.irq), {"msi_desc": 0, "arch.vector": UNASSIGNED})
        interrupts.free_irqs.append(msi.irq)
        ground.heap.release(msi.msi_desc, ground.size("msi_desc"))
    ground.list_del(device.address + ground.member("pci_dev", "domain_list"))
    ground.heap.release(device.address, ground.size("pci_dev"))


def give_device(ground: Ground, device: Device, domain: int | None) -> None:
    """Link a device to its new owner, the `struct domain` at this address, or to nobody."""
    node = device.address + ground.member("pci_dev", "domain_list")
    ground.list_del(node)
    ground.put("pci_dev", device.address, {"domain": 0 if domain is None else ground.virtual(domain)})
    if domain is not None:
        ground.list_add_tail(domain + ground.member("domain", "pdev_list"), node)


def post(ground: Ground, unit: VtdUnit, msi: Msi, descriptor: int, vector: int) -> None:
    """Make an MSI a posted one, at once: entry and `struct msi_desc` as `pi_update_irte` leaves them."""
    entry = _number(POSTED, {"p": 1, "im": 1, "vector": vector, "pda": descriptor, "sid": msi.sid, "svt": 1})
    ground.memory.write(irte(unit, msi.index), entry.to_bytes(ENTRY_SIZE, "little"))
    ground.put("msi_desc", msi.msi_desc, {"gvec": vector, "pi_desc": ground.virtual(descriptor)})


def _take_entry(ground: Ground, interrupts: Interrupts, unit: VtdUnit, number: int) -> int:
    """The first entry that is all zeros. Source: `alloc_remap_entry`."""
    blank = bytes(ENTRY_SIZE)
    for index in range(interrupts.first_free[number], ENTRIES):
        if ground.memory.read(irte(unit, index), ENTRY_SIZE) == blank:
            interrupts.first_free[number] = index + 1
            count_used(ground, unit, 1)
            return index
    raise SimError(f"all {ENTRIES} entries of VT-d unit {number}'s interrupt-remapping table are in use")


def _vector(irq: int) -> int:
    """A vector for an irq, spread over the priority classes as Xen's allocator does."""
    span = LAST_VECTOR - FIRST_VECTOR
    return FIRST_VECTOR + 1 + irq * 8 % span


def _destination(config: LayoutConfig, cpu: int) -> int:
    return dst_from_apic_id(config.apics[cpu], config.x2apic)


def _number(record: BitRecord, values: dict[str, int]) -> int:
    """A record as an integer: much faster than to build its bytes, for there may be 65,536 of them."""
    number = 0
    for name, value in values.items():
        number = record[name].insert(number, value)
    return number
