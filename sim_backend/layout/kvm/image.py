"""Linux's image in memory: kallsyms and BTF, and the variables that boot leaves behind."""

from __future__ import annotations

from sim_backend.layout.config import NR_CPUS, LayoutConfig
from sim_backend.layout.kvm.btf import BtfWriter, of_types
from sim_backend.layout.kvm.builder import DIRECT_MAP, LinuxBuilder
from sim_backend.layout.kvm.kallsyms import tables
from structs.linux.named import module_contents

RODATA = 0xFFFF_FFFF_8200_0000
REST = 0x8000
"""Bytes of read-only data behind what is written there, as a kernel has much more."""
MODULES = ("kvm", "kvm_intel")
IOAPICS, HPETS = 128, 64
"""MAX_IO_APICS, MAX_HPET_TBS."""
APICID_BYTES = 4
MASK = NR_CPUS // 8
MACHINE_VARIABLES = {
    "nr_cpu_ids": 4,
    "__per_cpu_offset": 8 * NR_CPUS,
    "__cpu_online_mask": MASK,
    "__cpu_possible_mask": MASK,
}
LISTS = ("modules", "btf_modules", "dmar_drhd_units")


def lay_out(ground: LinuxBuilder, config: LayoutConfig) -> BtfWriter:
    """Write the image; what of its BTF modules' go on from."""
    profile = ground.profile
    types = profile.document["user_types"]
    of_modules = frozenset[str]().union(*(module_contents(profile, module).types for module in MODULES))
    btf = of_types(types, [name for name in types if name not in of_modules])
    btf.add_variable("x86_cpu_to_apicid", {"kind": "base", "name": f"u{APICID_BYTES}"})
    raw = btf.raw()
    symbols = {name: int(symbol["address"]) for name, symbol in profile.document["symbols"].items()}
    symbols |= {"__start_BTF": RODATA, "__stop_BTF": RODATA + len(raw)}
    table_at = RODATA + -(-len(raw) // 64) * 64
    table, _ = tables(symbols, table_at)
    ground.map_image(RODATA, table_at - RODATA + len(table) + REST, writable=False)
    ground.write_virtual(RODATA, raw)
    ground.write_virtual(table_at, table)
    _variables(ground, config)
    return btf


def _variables(ground: LinuxBuilder, config: LayoutConfig) -> None:
    """What is there of the image's data, and what boot stores in it. The build's banner says that it is simulated."""
    version = ground.profile.version
    sizes = {
        **MACHINE_VARIABLES,
        **dict.fromkeys(LISTS, ground.size("list_head")),
        "ioapics": IOAPICS * ground.size("ioapic"),
        "ir_ioapic": IOAPICS * ground.size("ioapic_scope"),
        "ir_hpet": HPETS * ground.size("hpet_scope"),
        "sparse_irqs": ground.size("maple_tree"),
        "vmlinux_build_id": 20,
        "linux_banner": 256,
        "irq_remapping_enabled": 4,
        "disable_irq_post": 4,
        "eim_mode": 4,
        "x2apic_mode": 4,
        "nr_ioapics": 4,
        "page_offset_base": 8,
        "phys_base": 8,
        "irq_2_ir_lock": 4,
    }
    for name, size in sizes.items():
        ground.map_image(ground.profile.symbol(name), size)
    for name in LISTS:
        ground.list_init(ground.symbol(name))
    mask = (1 << config.cpus) - 1
    ground.set_variable("nr_cpu_ids", 4, config.cpus)
    ground.set_variable("__cpu_online_mask", MASK, mask)
    ground.set_variable("__cpu_possible_mask", MASK, mask)
    ground.set_variable("nr_ioapics", 4, config.ioapics)
    ground.memory.set_u8(ground.symbol("ioapics") + ground.member("ioapic", "mp_config.apicid"), 0)
    ground.set_variable("irq_remapping_enabled", 4, 1)
    ground.set_variable("disable_irq_post", 4, int(not config.intpost))
    ground.set_variable("eim_mode", 4, int(config.x2apic))
    ground.set_variable("x2apic_mode", 4, int(config.x2apic))
    ground.set_variable("page_offset_base", 8, DIRECT_MAP)
    ground.write_virtual(ground.profile.symbol("vmlinux_build_id"), bytes.fromhex(ground.profile.build_id))
    banner = f"Linux version {version} (simulated) #1 SMP PREEMPT_DYNAMIC simulated\n"
    ground.write_virtual(ground.profile.symbol("linux_banner"), banner.encode() + b"\0")
