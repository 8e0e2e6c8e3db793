"""The VT-d unit, and what Linux keeps of it."""

from __future__ import annotations

from sim_backend.layout import firmware
from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.kvm.builder import LinuxBuilder
from sim_backend.layout.vtd import ENTRIES, ENTRY_SIZE, REGISTERS, VtdUnit, lay_out_registers
from sim_backend.memory.memory import PAGE


def lay_out(ground: LinuxBuilder, config: LayoutConfig) -> list[VtdUnit]:
    """The units, with remapping and queued invalidation on, as intel_irq_remapping.c leaves them.

    The last one serves the IO-APICs, and all devices that no other one names.
    """
    made = [_unit(ground, config, number) for number in range(config.units)]
    for number in range(config.ioapics):
        sid = firmware.ioapic_sid(number)
        scope = {"iommu": ground.virtual(made[-1].iommu), "id": number, "bus": sid >> 8, "devfn": sid & 0xFF}
        ground.put("ioapic_scope", ground.symbol("ir_ioapic") + number * ground.size("ioapic_scope"), scope)
    firmware.lay_out(ground, made, config.ioapics, signature=b"DMAR")
    return made


def _unit(ground: LinuxBuilder, config: LayoutConfig, number: int) -> VtdUnit:
    unit = VtdUnit(
        registers=REGISTERS + number * PAGE,
        table=ground.new_pages(ENTRIES * ENTRY_SIZE // PAGE),
        queue=ground.new_pages(),
        iommu=ground.new("intel_iommu"),
        drhd=ground.new("dmar_drhd_unit"),
    )
    values = lay_out_registers(ground.memory, unit, ground.new_pages(), config.intpost, config.x2apic)
    bitmap = ground.new_pages(ENTRIES // 8 // PAGE)
    table = ground.made("ir_table", {"base": ground.virtual(unit.table), "bitmap": ground.virtual(bitmap)})
    queue = ground.made("q_inval", {"desc": ground.virtual(unit.queue)})
    about = {
        "reg_phys": unit.registers,
        "seq_id": number,
        "cap": values["CAP"],
        "ecap": values["ECAP"],
        "ir_table": ground.virtual(table),
        "qi": ground.virtual(queue),
    }
    ground.put("intel_iommu", unit.iommu, about)
    named = {
        "reg_base_addr": unit.registers,
        "include_all": int(number == config.units - 1),
        "iommu": ground.virtual(unit.iommu),
    }
    ground.put("dmar_drhd_unit", unit.drhd, named)
    ground.list_add_tail(ground.symbol("dmar_drhd_units"), unit.drhd + ground.member("dmar_drhd_unit", "list"))
    return unit


def give(ground: LinuxBuilder, unit: VtdUnit, index: int) -> None:
    """Mark an entry of the table as given away (`ir_table.bitmap`)."""
    table = ground.physical(ground.get("intel_iommu", unit.iommu, "ir_table"))
    bitmap = ground.physical(ground.get("ir_table", table, "bitmap"))
    ground.memory.test_and_set_bit(bitmap, index)
