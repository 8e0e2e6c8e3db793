"""Xen's functions by address: what a CPU executes, whether it idles there, and what its stack tells of the way there.

From the symbol table that the image carries (`inspector.profiles.symbol_table`): with the real extent of each function,
and for every build. Sources: xen/arch/x86/domain.c (idle_loop, play_dead), xen/arch/x86/acpi/cpu_idle.c.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakSet

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import PageTables
from inspector.profiles import symbol_table
from inspector.profiles.symbol_table import Function, SymbolTable
from inspector.xen.locate import mapped
from inspector.xen.xen import Xen, image_base
from structs.frozen import frozen

IDLE_FUNCTIONS = frozenset(
    (
        *("default_idle", "acpi_idle_do_entry", "mwait_idle_with_hints", "acpi_processor_ffh_cstate_enter"),
        *("play_dead", "default_dead_idle", "acpi_dead_idle"),
    )
)
"""Where a CPU waits, for an interrupt or for good, and has nothing half done."""

IDLE_SIZE = 0x40
"""What of `default_idle` is surely its own where the table cannot be read: it was longer in every build seen."""

BETWEEN_STEPS = frozenset(
    (
        *("vcpu_block", "vcpu_block_enable_events", "do_sched_op", "compat_sched_op", "do_poll", "hvm_hlt"),
        *("vcpu_unblock", "vcpu_wake", "vcpu_kick", "vcpu_sleep_sync", "vcpu_sleep_nosync", "vcpu_migrate_start"),
        *("schedule", "sched_slave", "sched_context_switch", "context_switch", "__context_switch"),
        *("sync_local_execstate", "sync_vcpu_execstate", "vmx_ctxt_switch_from", "vmx_ctxt_switch_to"),
        *("arch_vcpu_block", "vmx_vcpu_block", "vmx_pi_unblock_vcpu", "vmx_pi_do_resume", "vmx_vmenter_helper"),
        *("vmx_pi_switch_from", "vmx_pi_switch_to", "vmx_pi_desc_fixup", "vmx_pi_per_cpu_init"),
        *("vmx_pi_hooks_assign", "vmx_pi_hooks_deassign", "vmx_vcpu_initialise", "vmx_vcpu_destroy"),
        *("vmx_domain_initialise", "construct_vmcs", "vmx_create_vmcs", "vmx_destroy_vmcs", "vmx_cpu_dead"),
        *("pi_wakeup_interrupt", "pi_notification_interrupt", "vmx_deliver_posted_intr", "deliver_posted_intr"),
        *("vmx_sync_pir_to_irr", "vmx_intr_assist", "vlapic_set_irq", "vlapic_find_highest_irr"),
        *("hvm_vcpu_has_pending_irq", "domain_kill", "domain_pause", "domain_unpause", "cpu_down", "cpu_up"),
        *("msi_msg_write_remap_rte", "pi_update_irte", "hvm_pi_update_irte", "vmx_pi_update_irte", "update_irte"),
        *("pt_irq_create_bind", "pt_irq_destroy_bind", "set_msi_affinity", "iommu_update_ire_from_msi"),
        *("ioapic_write", "io_apic_write_remap_rte", "ioapic_rte_to_remap_entry", "iommu_update_ire_from_apic"),
        *("assign_device", "deassign_device", "reassign_device_ownership", "free_remap_entry", "queue_invalidate_iec"),
    )
)
"""Functions that change a vCPU's descriptor, a blocking list or a remapping entry in more than one step, those that
they are inlined in, and those that call them in the middle of a change.

Those that store to a descriptor or a list's node are told by Xen's machine code, and held against this by
tests/conformance; who calls them in the middle of a change, and what is half done then, is known from the source."""

FRAMES = 12
WORD = 8
STACK_SIZE = 0x8000
CALLS = ((5, b"\xe8"), (2, b"\xff"), (3, b"\xff"), (6, b"\xff"), (3, b"\x41\xff"), (7, b"\xff"))
"""A call's length and its first bytes: near, or through a register or memory."""

HYPERVISOR_CS = 0xE008
"""`__HYPERVISOR_CS`, the same in all versions: on a stack, after the address at which Xen was interrupted."""

TABLE = ("symbols_offsets", "symbols_token_index")
TOKEN_INDEX_SIZE = 512
_tables: dict[str, SymbolTable] = {}
"""By build-id: a build's symbols never change."""
_without: WeakSet[PageTables] = WeakSet()
"""Where none was found: it is looked for through the whole image, once."""


@frozen
class Whereabouts:
    """Where a CPU is in Xen.

    Attributes:
        function: `default_idle+0xc5`; None if its address is no function's.
        backtrace: the functions that the return addresses on its stack lie in, innermost first.
        between_steps: whether it, or a caller, may be in the middle of a change to what posted interrupts rest on;
            None if that cannot be told.
    """

    function: str | None = None
    backtrace: tuple[str, ...] = ()
    between_steps: bool | None = None


def functions(xen: Xen) -> SymbolTable | None:
    """All functions of this Xen; None if its own table of them is not in memory."""
    build_id = xen.profile.build_id
    if build_id not in _tables and xen.memory not in _without:
        if found := _read(xen):
            _tables[build_id] = found
        else:
            _without.add(xen.memory)
    return _tables.get(build_id)


def address_of(xen: Xen, name: str) -> int:
    """The address of a symbol, by the image's own table where the profile lacks it. Raises ProfileError: both do."""
    if not xen.profile.has_symbol(name) and (table := functions(xen)) and name in table.addresses:
        return table.addresses[name]
    return xen.profile.symbol(name)


def idles(xen: Xen, rip: int) -> bool:
    """Whether an address lies in a function in which CPUs idle."""
    table = functions(xen)
    if table is None:
        known = xen.profile.has_symbol("default_idle")
        return known and 0 <= rip - xen.profile.symbol("default_idle") < IDLE_SIZE
    found = table.function_at(rip)
    return found is not None and found.name in IDLE_FUNCTIONS


def whereabouts(xen: Xen, registers: Mapping[str, int]) -> Whereabouts:
    """Where a CPU that executes Xen is, by its rip and its stack."""
    table = functions(xen)
    if table is None or "rip" not in registers:
        return Whereabouts()
    current = table.function_at(registers["rip"])
    words = _stack(xen, registers.get("rsp"))
    if words is None:
        return Whereabouts(_named(current, registers["rip"]))
    # The boot CPU's stack lies in the image: what points into the stack leads to no code.
    rsp = registers["rsp"]
    on_stack = (words >= np.uint64(rsp & ~(STACK_SIZE - 1))) & (words <= np.uint64(rsp | STACK_SIZE - 1))
    in_image = (words >> np.uint64(30)) == np.uint64(image_base(registers["rip"]) >> 30)
    interrupted = np.append(words[1:] == HYPERVISOR_CS, False)
    places = np.flatnonzero(in_image & ~on_stack)
    found = [(table.function_at(int(words[at])), int(words[at]), bool(interrupted[at])) for at in places]
    known = [(function, address, pushed) for function, address, pushed in found if function]
    returns = _after_calls(xen, [address for _, address, _ in known])
    way = [(function, address) for function, address, pushed in known if address in returns or pushed]
    # context_switch empties the stack and calls what never comes back (reset_stack_and_call_ind).
    if way and way[-1][0].name == "context_switch" and way[-1][1] == words[-1]:
        del way[-1]
    shown = [_named(function, address) or "" for function, address in way if address in returns]
    touched = {function.name for function, _ in way} | ({current.name} if current else set())
    between = bool(touched & BETWEEN_STEPS) if current else None
    return Whereabouts(_named(current, registers["rip"]), tuple(shown[:FRAMES]), between)


def _named(function: Function | None, address: int) -> str | None:
    return f"{function.name}+{address - function.address:#x}" if function else None


def _stack(xen: Xen, rsp: int | None) -> np.ndarray | None:
    """The words from the stack's top element to where `struct cpu_info` begins; None if they cannot be read.

    `cpu_info` holds a guest's registers, which lead nowhere in Xen.
    """
    if rsp is None:
        return None
    start, end = rsp & ~(WORD - 1), (rsp | STACK_SIZE - 1) + 1 - xen.profile.size("cpu_info")
    if start >= end:
        return np.zeros(0, "<u8")
    try:
        return np.frombuffer(xen.memory.read(start, end - start), "<u8")
    except UNREADABLE:
        return None


def _after_calls(xen: Xen, addresses: Sequence[int]) -> set[int]:
    """Those before which a call stands; all of them where the code is not in memory."""
    longest = max(length for length, _ in CALLS)
    parts = xen.memory.read_parts([(address - longest, longest) for address in addresses])
    return {
        address
        for address, part in zip(addresses, parts, strict=True)
        if part is None or any(part[longest - length :].startswith(opcode) for length, opcode in CALLS)
    }


def _read(xen: Xen) -> SymbolTable | None:
    if xen.knowledge:
        return xen.knowledge.image.symbols
    try:
        if all(xen.profile.has_symbol(name) for name in TABLE):
            start, end = (xen.profile.symbol(name) for name in TABLE)
            return symbol_table.find(xen.memory.read(start, end + TOKEN_INDEX_SIZE - start), image_base(start))
        image = mapped(xen.memory)
    except UNREADABLE:
        return None
    return image.symbols if image else None
