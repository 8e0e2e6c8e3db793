"""VT-d units: their registers, interrupt-remapping tables and invalidation queues, and what Xen keeps of each."""

from __future__ import annotations

from sim_backend.layout.builder import VMAP, LayoutBuilder
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.page_tables import DATA, map_range
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE, Memory
from structs.bits import packed
from structs.frozen import frozen
from structs.registers import BY_NAME, CAP, ECAP, EVENT_CONTROL, GSTS, IQA, IRTA, RTADDR, VER, fault_record_offset

REGISTERS = 0xFED9_0000
ENTRIES = 1 << 16
"""IREMAP_ENTRY_NR: Xen programs IRTA.S = 15 for every unit."""
ENTRY_SIZE = 16
QUEUE_SLOTS = PAGE // 16
FAULT_RECORDS = 8

CAPABILITIES = {
    "nd": 6,
    "sagaw": 6,
    "mgaw": 47,
    "zlr": 1,
    "fro": 0x22,
    "sslps": 3,
    "psi": 1,
    "mamv": 18,
    "dwd": 1,
    "drd": 1,
}
EXTENDED = {"c": 1, "qi": 1, "dt": 1, "ir": 1, "pt": 1, "sc": 1, "iro": 0xF, "mhmv": 15}


@frozen
class VtdUnit:
    """One unit: its registers, its table, its queue, and what its kernel keeps of it: Xen's `struct vtd_iommu` and
    `struct acpi_drhd_unit`, or Linux's `struct intel_iommu` and `struct dmar_drhd_unit`."""

    registers: int
    table: int
    queue: int
    iommu: int
    drhd: int


def register(unit: VtdUnit, name: str) -> int:
    """Where a register is, by its mnemonic; `FRCD` is the first fault recording register."""
    if name == "FRCD":
        return unit.registers + fault_record_offset({"fro": CAPABILITIES["fro"]})
    if name not in BY_NAME:
        raise SimError(f"a VT-d unit has no register {name}")
    return unit.registers + BY_NAME[name].offset


def irte(unit: VtdUnit, index: int) -> int:
    """Where an entry of the interrupt-remapping table is."""
    if not 0 <= index < ENTRIES:
        raise SimError(f"interrupt-remapping table entry {index:#x}: there are {ENTRIES:#x}")
    return unit.table + index * ENTRY_SIZE


def lay_out(ground: LayoutBuilder, config: LayoutConfig) -> list[VtdUnit]:
    """All units, with remapping and queued invalidation on, as Xen leaves them after boot. Source: `vtd_setup`."""
    head = ground.symbol("acpi_drhd_units")
    ground.list_init(head)
    units = [_unit(ground, config, number) for number in range(config.units)]
    ground.set_variable("nr_iommus", 4, len(units))
    ground.set_variable("qi_entry_nr", 4, QUEUE_SLOTS)
    for unit in units:
        ground.list_add_tail(head, unit.drhd + ground.member("acpi_drhd_unit", "list"))
    return units


def _unit(ground: LayoutBuilder, config: LayoutConfig, number: int) -> VtdUnit:
    base = REGISTERS + number * PAGE
    unit = VtdUnit(
        registers=base,
        table=ground.new_pages(ENTRIES * ENTRY_SIZE // PAGE),
        queue=ground.new_pages(),
        iommu=ground.new("vtd_iommu"),
        drhd=ground.new("acpi_drhd_unit"),
    )
    root_table = ground.new_pages()
    values = lay_out_registers(ground.memory, unit, root_table, config.intpost, config.x2apic)
    mapped = VMAP + number * 2 * PAGE
    map_range(ground.memory, ground.new_pages, ground.symbol("idle_pg_table"), mapped, base, PAGE, DATA)
    ground.put(
        "vtd_iommu",
        unit.iommu,
        {
            "reg": mapped,
            "index": number,
            "cap": values["CAP"],
            "ecap": values["ECAP"],
            "root_maddr": root_table,
            "qinval_maddr": unit.queue,
            "intremap.maddr": unit.table,
        },
    )
    ground.put_known("vtd_iommu", unit.iommu, {"nr_pt_levels": 4, "drhd": ground.virtual(unit.drhd), "version": 0x10})
    ground.put("acpi_drhd_unit", unit.drhd, {"address": base, "segment": 0, "iommu": ground.virtual(unit.iommu)})
    ground.put("acpi_drhd_unit", unit.drhd, {"include_all": int(number == config.units - 1)})
    for member in ("ioapic_list", "hpet_list"):
        ground.list_init(unit.drhd + ground.member("acpi_drhd_unit", member))
    return unit


def lay_out_registers(memory: Memory, unit: VtdUnit, root_table: int, posts: bool, x2apic: bool) -> dict[str, int]:
    """Give a unit its register window, as it is once remapping and queued invalidation are on; the registers by name.

    Args:
        memory: where.
        unit: of which `registers`, `table` and `queue` are used.
        root_table: of DMA remapping.
        posts: CAP.PI.
        x2apic: ECAP.EIM and IRTA.EIME.
    """
    values = {
        "VER": packed(VER, {"max": 1}),
        "CAP": packed(CAP, CAPABILITIES | {"nfr": FAULT_RECORDS - 1, "pi": int(posts)}),
        "ECAP": packed(ECAP, EXTENDED | {"eim": int(x2apic)}),
        "GSTS": packed(GSTS, {"tes": 1, "rtps": 1, "qies": 1, "ires": 1, "irtps": 1}),
        "RTADDR": packed(RTADDR, {"rta": root_table}),
        "FECTL": packed(EVENT_CONTROL, {"im": 0}),
        "IQA": packed(IQA, {"iqa": unit.queue, "qs": 0}),
        "IRTA": packed(IRTA, {"irta": unit.table, "s": ENTRIES.bit_length() - 2, "eime": int(x2apic)}),
    }
    memory.add(unit.registers, PAGE)
    for name, value in values.items():
        memory.write(register(unit, name), value.to_bytes(BY_NAME[name].size, "little"))
    return values


def count_used(ground: LayoutBuilder, unit: VtdUnit, change: int) -> None:
    """Add to `intremap.num`, Xen's count of entries in use."""
    used = ground.get("vtd_iommu", unit.iommu, "intremap.num")
    ground.put("vtd_iommu", unit.iommu, {"intremap.num": used + change})
