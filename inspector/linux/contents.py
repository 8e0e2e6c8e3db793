"""What a profile keeps of a Linux build: the structures, members and symbols that a simulated one is laid out by.

A profile that is shipped is made of a real kernel's BTF and kallsyms, and of its modules' BTF. Of a structure only the
members that are named here are kept, with those that they lie in; sizes and places stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inspector.linux.btf import ARRAY, ENUM, ENUM64, INT, PTR, STRUCT, UNION, Btf, BtfError, Type
from structs.frozen import frozen

LINK_BASE = 0xFFFFFFFF81000000
"""Where the image is linked to, and lies without KASLR: `__START_KERNEL_map + LOAD_PHYSICAL_ADDR`."""

IRQ_DATA = ("irq", "hwirq", "chip", "domain", "parent_data", "chip_data", "mask")
VMLINUX: Mapping[str, tuple[str, ...]] = {
    "list_head": ("next", "prev"),
    "xarray": ("xa_flags", "xa_head"),
    "xa_node": ("shift", "offset", "count", "slots"),
    "maple_tree": ("ma_flags", "ma_root"),
    "maple_range_64": ("parent", "pivot", "slot"),
    "maple_arange_64": ("parent", "pivot", "slot"),
    "irq_data": IRQ_DATA,
    "irq_common_data": (
        "state_use_accessors",
        "handler_data",
        "msi_desc",
        "affinity",
        "effective_affinity",
    ),
    "irq_desc": (
        "irq_common_data",
        "irq_data",
        "action",
        "core_internal_state__do_not_mess_with_it",
        "name",
    ),
    "irqaction": ("handler", "dev_id", "next", "irq", "name"),
    "irq_chip": ("name",),
    "irq_2_iommu": ("iommu", "irte_index", "sub_handle", "irte_mask", "posted_msi", "posted_vcpu"),
    "intel_ir_data": ("irq_2_iommu", "irte_entry"),
    "apic_chip_data": ("vector", "cpu"),
    "mp_chip_data": ("irq_2_pin",),
    "irq_pin_list": ("list", "apic", "pin"),
    "mpc_ioapic": ("type", "apicid"),
    "ioapic": ("mp_config",),
    "msi_desc": ("irq", "dev", "pci.msi_attrib.is_msix", "pci.msi_attrib.multiple", "msi_index"),
    "kobject": ("name",),
    "device": ("kobj",),
    "dmar_drhd_unit": ("list", "reg_base_addr", "segment", "include_all", "iommu"),
    "intel_iommu": ("reg", "reg_phys", "cap", "ecap", "seq_id", "ir_table", "qi"),
    "ir_table": ("base", "bitmap"),
    "q_inval": ("desc",),
    "ioapic_scope": ("iommu", "id", "bus", "devfn"),
    "hpet_scope": ("iommu", "id", "bus", "devfn"),
    "module": ("state", "list", "name", "kallsyms"),
    "mod_kallsyms": ("symtab", "num_symtab", "strtab"),
    "btf_module": ("list", "module", "btf"),
    "btf": ("data", "data_size"),
    "pcpu_hot": ("current_task", "preempt_count", "cpu_number"),
    "task_struct": (
        "thread_info.flags",
        "thread_info.cpu",
        "__state",
        "on_cpu",
        "on_rq",
        "pid",
        "tgid",
        "comm",
        "pid_links",
    ),
    "pid": ("level", "tasks", "numbers"),
    "hlist_head": ("first",),
    "hlist_node": ("next",),
    "upid": ("nr",),
}
KVM: Mapping[str, tuple[str, ...]] = {
    "kvm": (
        "mm",
        "vcpu_array",
        "online_vcpus",
        "max_vcpus",
        "created_vcpus",
        "vm_list",
        "irqfds.lock",
        "irqfds.items",
        "arch.assigned_device_count",
        "arch.apicv_inhibit_reasons",
        "arch.irqchip_mode",
        "irq_routing",
        "users_count.refs.counter",
        "userspace_pid",
        "vm_bugged",
        "vm_dead",
        "stats_id",
    ),
    "kvm_vcpu": (
        "kvm",
        "cpu",
        "vcpu_id",
        "vcpu_idx",
        "mode",
        "requests",
        "wait.task",
        "pid",
        "wants_to_run",
        "preempted",
        "ready",
        "scheduled_out",
        "arch.apic_base",
        "arch.apic",
        "arch.hflags",
        "arch.mp_state",
        "stat.exits",
        "stat.generic.halt_wakeup",
    ),
    "kvm_lapic": ("base_address", "vcpu", "apicv_active", "irr_pending", "regs"),
    "kvm_kernel_irqfd": (
        "kvm",
        "irq_entry.gsi",
        "irq_entry.type",
        "irq_entry.msi.address_lo",
        "irq_entry.msi.address_hi",
        "irq_entry.msi.data",
        "gsi",
        "eventfd",
        "list",
        "consumer",
        "producer",
    ),
    "irq_bypass_producer": ("node", "token", "irq"),
    "irq_bypass_consumer": ("node", "token"),
}
KVM_INTEL: Mapping[str, tuple[str, ...]] = {
    "vcpu_vmx": ("vcpu", "rflags", "vmcs01.vmcs", "vmcs01.cpu", "loaded_vmcs", "pi_desc", "pi_wakeup_list"),
    "pi_desc": ("pir", "notifications", "nv", "ndst", "control"),
}
MODULES: Mapping[str, Mapping[str, tuple[str, ...]]] = {"kvm": KVM, "kvm_intel": KVM_INTEL}

VARIABLES = (
    "__cpu_online_mask",
    "__cpu_possible_mask",
    "__per_cpu_offset",
    "btf_modules",
    "disable_irq_post",
    "dmar_drhd_units",
    "eim_mode",
    "init_top_pgt",
    "ioapics",
    "ir_hpet",
    "ir_ioapic",
    "_end",
    "irq_2_ir_lock",
    "irq_remapping_enabled",
    "linux_banner",
    "modules",
    "nr_cpu_ids",
    "nr_ioapics",
    "sparse_irqs",
    "vmlinux_build_id",
    "page_offset_base",
    "phys_base",
    "x2apic_mode",
)
"""vmlinux's own; of per-CPU ones `PER_CPU`. Its functions are those that `FUNCTIONS` tells."""
PER_CPU = ("x86_cpu_to_apicid", "pcpu_hot")
MODULE_PER_CPU: Mapping[str, tuple[str, ...]] = {
    "kvm": ("kvm_running_vcpu",),
    "kvm_intel": ("wakeup_vcpus_on_cpu", "wakeup_vcpus_on_cpu_lock", "current_vmcs"),
}
"""Per-CPU variables of modules: a profile tells where in the module's own part of the area they are."""
MODULE_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "kvm": ("vm_list", "kvm_lock", "enable_apicv"),
    "kvm_intel": ("enable_ipiv",),
}
"""Other variables of modules, which lie elsewhere at each start."""
FUNCTIONS = ("irq_", "intel_ir_", "sysvec_", "asm_sysvec_", "default_idle", "schedule", "__schedule", "_text", "_stext")
"""How the functions begin of which a profile has the symbols."""
IDLE = (
    "mwait_idle_with_hints",
    "acpi_idle_do_entry",
    "intel_idle",
    "try_to_wake_up",
    "wake_up_process",
    "start_kernel",
)
NUMBERS = {f"u{size}": {"size": size, "kind": "int", "signed": False, "endian": "little"} for size in (1, 2, 4, 8, 16)}


@frozen
class Source:
    """A real kernel and its modules.

    Attributes:
        symbols: by name, as they are linked.
        modules: the types of each module; per_cpu: where in its per-CPU section each of its symbols is.
    """

    release: str
    build_id: str
    symbols: Mapping[str, int]
    btf: Btf
    modules: Mapping[str, Btf]
    per_cpu: Mapping[str, Mapping[str, int]]


def reduced(source: Source) -> dict[str, Any]:
    """The profile of a build, as an ISF document; `metadata.linux.modules` says which types are which module's.

    Raises:
        BtfError: a structure or a member is not there.
    """
    kept: dict[str, Any] = {}
    of_module: dict[str, dict[str, Any]] = {}
    for btf, structs, name in (
        (source.btf, VMLINUX, None),
        *((source.modules[name], structs, name) for name, structs in MODULES.items()),
    ):
        before = set(kept)
        for struct, paths in structs.items():
            _keep(btf, struct, paths, kept)
        if name:
            places = source.per_cpu[name]
            of_module[name] = {
                "types": sorted(set(kept) - before),
                "per_cpu": {each: places[each] for each in MODULE_PER_CPU[name]},
                "variables": list(MODULE_VARIABLES[name]),
            }
    return {
        "metadata": {
            "linux": {"version": source.release, "build_id": source.build_id, "modules": of_module},
            "format": "6.2.0",
        },
        "base_types": NUMBERS,
        "user_types": dict(sorted(kept.items())),
        "symbols": {name: {"address": source.symbols[name]} for name in sorted(_symbols(source.symbols))},
        "enums": {},
    }


def _symbols(known: Iterable[str]) -> set[str]:
    wanted = {*VARIABLES, *PER_CPU, *IDLE}
    return {name for name in known if name in wanted or (name.startswith(FUNCTIONS) and "." not in name)}


def _keep(btf: Btf, struct: str, paths: Sequence[str], kept: dict[str, Any]) -> None:
    found = btf.named(struct)
    if found is None:
        raise BtfError(f"the BTF has no struct {struct}")
    for path in paths:
        _keep_member(btf, found, struct, path.split("."), kept)


def _keep_member(btf: Btf, of: Type, name: str, steps: Sequence[str], kept: dict[str, Any]) -> None:
    """Keep a member of a structure that is called `name` in the profile, and what it leads to."""
    known = kept.setdefault(name, {"kind": "struct" if of.kind == STRUCT else "union", "size": of.size, "fields": {}})
    for at, member in enumerate(btf.members(of)):
        kind = btf.plain(member.type)
        if not member.name and kind.kind in (STRUCT, UNION):
            inner = f"#{name.lstrip('#')}.{at}"
            if not _leads(btf, kind, steps[0]):
                continue
            known["fields"][f"#{at}"] = {"offset": member.bit // 8, "type": _named(kind, inner), "anonymous": True}
            _keep_member(btf, kind, inner, steps, kept)
            return
        if member.name != steps[0]:
            continue
        if len(steps) > 1 and kind.kind not in (STRUCT, UNION):
            break
        inner = kind.name or f"#{name.lstrip('#')}.{member.name}"
        field: dict[str, Any] = {"offset": member.bit // 8, "type": _type(btf, member.type, inner)}
        if member.width:
            unit = member.bit // (8 * kind.size) * kind.size
            place = {"bit_position": member.bit - 8 * unit, "bit_length": member.width}
            field = {"offset": unit, "type": {"kind": "bitfield", "type": field["type"], **place}}
        known["fields"][member.name] = field
        if kind.kind in (STRUCT, UNION):
            kept.setdefault(
                inner, {"kind": "struct" if kind.kind == STRUCT else "union", "size": kind.size, "fields": {}}
            )
            for deeper in [steps[1:]] if len(steps) > 1 else [[each] for each in _numbers(btf, kind)]:
                _keep_member(btf, kind, inner, deeper, kept)
        return
    raise BtfError(f"the BTF's {name} has no member {'.'.join(steps)}")


def _numbers(btf: Btf, of: Type) -> list[str]:
    """Members of a structure that is wanted whole and small: those that are numbers or pointers."""
    if of.size > SMALL:
        return []
    plain = [(each.name, btf.plain(each.type).kind) for each in btf.members(of)]
    return [name for name, kind in plain if name and kind in (INT, ENUM, PTR)]


SMALL = 16
"""Bytes of a structure (a list's head, a counter) that is kept with all that it has."""


def _leads(btf: Btf, of: Type, name: str) -> bool:
    for member in btf.members(of):
        kind = btf.plain(member.type)
        if member.name == name or (not member.name and kind.kind in (STRUCT, UNION) and _leads(btf, kind, name)):
            return True
    return False


def _type(btf: Btf, number: int, inner: str) -> dict[str, Any]:
    kind = btf.plain(number)
    if kind.kind in (INT, ENUM, ENUM64):
        return {"kind": "base", "name": f"u{kind.size}"}
    if kind.kind == PTR:
        return {"kind": "pointer", "subtype": {"kind": "base", "name": "void"}}
    if kind.kind == ARRAY:
        element, count = btf.array(kind)
        return {"kind": "array", "count": count, "subtype": _type(btf, element, inner)}
    return _named(kind, kind.name or inner)


def _named(kind: Type, name: str) -> dict[str, Any]:
    return {"kind": "struct" if kind.kind == STRUCT else "union", "name": kind.name or name}
