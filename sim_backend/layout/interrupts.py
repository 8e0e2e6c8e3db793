"""Irqs, interrupt-remapping entries, and the IO-APICs that use the first of both."""

from __future__ import annotations

import numpy as np

from sim_backend.layout.builder import LayoutBuilder
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.firmware import ioapic_sid
from sim_backend.layout.vtd import ENTRIES, ENTRY_SIZE, VtdUnit, count_used, irte
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE
from structs.bits import packed_bytes
from structs.ioapic import REMAPPABLE as REMAPPABLE_RTE
from structs.irte import REMAPPED, dst_from_apic_id
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

EDGE_PHYSICAL_FIXED = {"p": 1, "svt": 1}
FIRST_VECTOR, LAST_VECTOR = 0x20, 0xDF
AT_ONCE = 512
"""Entries that are looked through at a time."""


class Interrupts:
    """Which irqs and entries are free.

    Attributes:
        free_irqs: irqs that no MSI has, the next one last.
        first_free: for each unit, an index below which no entry is free.
    """

    def __init__(self, units: int) -> None:
        self.free_irqs: list[int] = []
        self.first_free = [0] * units

    def copy(self) -> Interrupts:
        """One of the same state that goes its own way."""
        other = Interrupts(0)
        other.free_irqs, other.first_free = self.free_irqs.copy(), self.first_free.copy()
        return other


def rte(ioapic: int, pin: int) -> int:
    """Where a redirection entry of an IO-APIC is kept, 8 bytes."""
    return IOAPIC_STATE + ioapic * PAGE + pin * 8


def lapic(cpu: int) -> int:
    """Where a CPU's local APIC registers are kept: a page laid out as the APIC's (ISR at 0x100, IRR at 0x200)."""
    return DEVICE_STATE + cpu * PAGE


def irq_count(config: LayoutConfig) -> int:
    """`nr_irqs`: one for each pin, and those for MSIs."""
    return config.ioapics * IOAPIC_PINS + config.irqs


def lay_out(ground: LayoutBuilder, interrupts: Interrupts, units: list[VtdUnit], config: LayoutConfig) -> None:
    """The IO-APICs with all pins remapped, and as many irqs as the machine asks for."""
    memory = ground.memory
    memory.add(DEVICE_STATE, config.cpus * PAGE)
    memory.add(IOAPIC_STATE, config.ioapics * PAGE)
    pins = config.ioapics * IOAPIC_PINS
    count = irq_count(config)
    memory.write(_irq_table(ground, count), _irqs(ground, count))
    interrupts.free_irqs = list(range(count - 1, pins - 1, -1))
    ground.set_variable("nr_irqs", 4, count)
    ground.set_variable("nr_irqs_gsi", 4, pins)
    ground.set_variable("nr_ioapics", 4, config.ioapics)
    tables = ground.heap.small(memory, config.ioapics * POINTER_SIZE)
    ground.set_variable("apic_pin_2_ir_idx", POINTER_SIZE, ground.virtual(tables))
    for ioapic in range(config.ioapics):
        _ioapic(ground, interrupts, units[-1], tables, ioapic, config)


def _irq_table(ground: LayoutBuilder, count: int) -> int:
    size = ground.size("irq_desc") * count
    table = ground.new_pages(-(-size // PAGE))
    ground.set_variable("irq_desc", POINTER_SIZE, ground.virtual(table))
    return table


def _irqs(ground: LayoutBuilder, count: int) -> bytes:
    raw = np.zeros((count, ground.size("irq_desc")), np.uint8)
    unassigned = np.full(count, UNASSIGNED, "<i2")
    members = {"irq": np.arange(count, dtype="<i4"), "arch.vector": unassigned, "arch.old_vector": unassigned}
    for path, values in members.items():
        at = ground.member("irq_desc", path)
        raw[:, at : at + values.itemsize] = values.view(np.uint8).reshape(count, -1)
    return raw.tobytes()


def _ioapic(
    ground: LayoutBuilder, interrupts: Interrupts, unit: VtdUnit, tables: int, number: int, config: LayoutConfig
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
    for pin, index in enumerate(take_entries(ground, interrupts, unit, config.units - 1, IOAPIC_PINS)):
        irq = number * IOAPIC_PINS + pin
        used = irq < LEGACY_IRQS
        vector = vector_of(irq) if used else 0
        entry = EDGE_PHYSICAL_FIXED | {"sid": sid, "vector": vector, "dst": destination(config, 0) if used else 0}
        memory.write(irte(unit, index), packed_bytes(REMAPPED, entry))
        memory.set_u32(indices + pin * 4, index)
        redirection = {"format": 1, "index": index, "vector": vector, "mask": int(not used)}
        memory.write(rte(number, pin), packed_bytes(REMAPPABLE_RTE, redirection))
        if used:
            ground.put("irq_desc", irq_desc(ground, irq), {"arch.vector": vector})


def irq_desc(ground: LayoutBuilder, irq: int) -> int:
    """Where an irq's `struct irq_desc` is."""
    return ground.physical(ground.memory.u64(ground.symbol("irq_desc"))) + irq * ground.size("irq_desc")


def take_entries(ground: LayoutBuilder, interrupts: Interrupts, unit: VtdUnit, number: int, count: int) -> list[int]:
    """The first `count` entries that are all zeros, ascending, which the caller fills at once.

    Source: `alloc_remap_entry`.

    Raises:
        SimError: there are not that many; then none is taken.
    """
    start = interrupts.first_free[number]
    free: list[int] = []
    for first in range(start, ENTRIES, AT_ONCE):
        size = min(AT_ONCE, ENTRIES - first)
        words = np.frombuffer(ground.memory.read(unit.table + first * ENTRY_SIZE, size * ENTRY_SIZE), "<u8")
        free += (np.flatnonzero((words[::2] | words[1::2]) == 0) + first).tolist()
        if len(free) >= count:
            break
    free = free[:count]
    if len(free) < count:
        raise SimError(f"VT-d unit {number}'s interrupt-remapping table of {ENTRIES} entries has no {count} free ones")
    interrupts.first_free[number] = free[-1] + 1 if free else start
    count_used(ground, unit, count)
    return free


def vector_of(irq: int) -> int:
    """A vector for an irq, spread over the priority classes as Xen's allocator does."""
    span = LAST_VECTOR - FIRST_VECTOR
    return FIRST_VECTOR + 1 + irq * 8 % span


def destination(config: LayoutConfig, cpu: int) -> int:
    """The DST that names a CPU."""
    return dst_from_apic_id(config.apics[cpu], config.x2apic)
