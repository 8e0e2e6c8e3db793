"""What Xen's own code says of its structures: the displacements at which known functions reach members.

Each function here reaches the member through a pointer to the structure, in every build from 4.16 to 4.22 (compared by
DWARF and machine code). A candidate layout is proved in a member if all of the functions that are in memory have an
access of the member's size at its displacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from inspector.profiles.image import Image
from structs.xen.layout import Place, StructLayout

SMALLEST, LARGEST = 16, 4096
"""Bytes of a function worth decoding."""
DISTINCTIVE = 128
"""Displacements below are used by nearly every function."""

VMX = "arch.hvm.vmx"
VLAPIC = "arch.hvm.vlapic"
NV, NDST = 34, 36
"""Where in a descriptor the two stand."""

ACCESSES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "domain": {
        "arch.hvm.pi_ops.flags": ("vmx_pi_hooks_assign",),
        "arch.hvm.pi_ops.vcpu_block": ("vmx_pi_hooks_assign", "vmx_vmenter_helper"),
        "is_dying": ("domain_destroy", "domain_watchdog_timeout", "free_xen_event_channel"),
        "next_in_list": ("do_settime", "dump_evtchn_info"),
        "pause_count": ("domain_unpause", "domain_unpause_except_self"),
        "pirq_tree": ("pirq_get_info", "pt_pirq_iterate"),
    },
    "irq_cpustat_t": {"in_mwait": ("mwait_idle_with_hints",)},
    "vcpu": {
        "dirty_cpu": ("sync_vcpu_execstate", "startup_cpu_idle_loop", "vcpumask_to_pcpumask"),
        "is_running": ("vcpu_kick", "vmx_deliver_posted_intr"),
        "pause_count": ("vcpu_unpause", "domain_pause_except_self"),
        "pause_flags": ("vcpu_sleep_sync", "vcpu_runstate_change"),
        "poll_evtchn": ("evtchn_check_pollers", "vcpu_unblock"),
        "runstate.state": ("vcpu_runstate_change", "vcpu_wake"),
        "runstate.state_entry_time": ("vcpu_runstate_change", "vcpu_create"),
        "runstate_seq": ("vcpu_runstate_change", "vcpu_runstate_get"),
        "sched_unit": ("vcpu_sleep_nosync", "sched_slave"),
        f"{VLAPIC}.hw.disabled": ("vlapic_accept_irq", "vlapic_has_pending_irq"),
        f"{VLAPIC}.regs": ("vlapic_apicv_write", "guest_rdmsr_x2apic"),
        f"{VMX}.pi_blocking.list": ("vmx_vcpu_block",),
        f"{VMX}.pi_desc": ("vmx_vcpu_block", "vmx_ctxt_switch_to"),
        f"{VMX}.vmcs_pa": ("vmx_vmcs_reload", "vmx_destroy_vmcs"),
    },
    "vtd_iommu": {
        "intremap.maddr": ("alloc_remap_entry", "io_apic_read_remap_rte"),
        "intremap.num": ("alloc_remap_entry", "io_apic_read_remap_rte"),
    },
}
MAY_BE_MISSING = frozenset({"in_mwait", "runstate_seq"})
"""They came in the middle of stable branches: what stands in their place in a build without them means something else,
or nothing. Of a known layout the code proves them; none is put together with them."""
SMALL = frozenset({"in_mwait"})
"""Lies at a small displacement, at which these functions reach nothing else of that size."""
INNER = {
    (f"{VMX}.pi_desc", "vmx_vcpu_block"): (NV, 1),
    (f"{VMX}.pi_desc", "vmx_ctxt_switch_to"): (NDST, 4),
    ("runstate_seq", "vcpu_runstate_get"): (0, 0),
}
"""What a function reaches of a member that is a structure: offset in it, and size."""

Access = tuple[int, int]
"""A displacement, and the size of what is there; 0 where only its address is taken."""


def said(image: Image | None, layout: StructLayout) -> Iterator[tuple[str, bool]]:
    """The members of a candidate layout that the code in an image proves; none where the code is not in memory."""
    for path, names in ACCESSES.get(layout.name, {}).items():
        place = layout.members.get(path)
        if image is None or place is None:
            continue
        reached = [_reaches(made, place, path, name) for name in names if (made := accesses(image, name)) is not None]
        if reached and all(reached):
            yield path, True


def reached_at(image: Image, struct: str, path: str, size: int) -> list[int]:
    """The offsets at which all functions that reach a member of that size could have it; none without the code."""
    sets = []
    for name in ACCESSES[struct].get(path, ()):
        made = accesses(image, name)
        if made is not None:
            inner, wide = INNER.get((path, name), (0, size))
            own = {at - inner for at, width in made if width == wide}
            sets.append(own | {at for at, width in made if not width and size > 8})
    return sorted(at for at in set.intersection(*sets) if at >= DISTINCTIVE) if sets else []


def _reaches(made: frozenset[Access], place: Place, path: str, name: str) -> bool:
    inner, size = INNER.get((path, name), (0, place.size))
    wanted = {(place.offset + inner, size), (place.offset, 0)} if place.size > 8 else {(place.offset, size)}
    return (place.offset >= DISTINCTIVE or path in SMALL) and bool(made & wanted)


def accesses(image: Image, name: str) -> frozenset[Access] | None:
    """The displacements at which a function reaches memory; None if there is no such function in memory."""
    function = image.symbols.function(name) if image.symbols else None
    if function is None or not SMALLEST <= function.size <= LARGEST:
        return None
    code = image.read(function.address, function.size)
    return None if code is None else _decoded(code, function.address)


@cache
def _decoded(code: bytes, address: int) -> frozenset[Access]:
    capstone, x86 = _capstone()
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = True
    unstructured = (x86.X86_REG_INVALID, x86.X86_REG_RIP, x86.X86_REG_RSP)
    return frozenset(
        (operand.mem.disp, 0 if instruction.id == x86.X86_INS_LEA else operand.size)
        for instruction in engine.disasm(code, address)
        # Operands are costly to make, and most instructions reach no memory.
        if "[" in instruction.op_str
        for operand in instruction.operands
        if operand.type == x86.X86_OP_MEM and operand.mem.base not in unstructured and not operand.mem.index
    )


def _capstone() -> tuple[Any, Any]:
    import capstone
    from capstone import x86

    return capstone, x86
