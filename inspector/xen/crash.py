"""A Xen that crashed and started another kernel: what that did to the evidence, and how it was before.

Sources: xen/arch/x86/crash.c (`nmi_shootdown_cpus`, `do_nmi_crash`), apic.c (`disable_local_APIC`), io_apic.c
(`disable_IO_APIC`), xen/drivers/passthrough/iommu.c (`iommu_crash_shutdown`), asm/current.h (a CPU's stack).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.model.snapshot import CRASHED, CRASHED_OR_IN_GUEST, IDLE, IN_GUEST, IN_XEN, MARKER, Cpu
from inspector.xen import domains, iommu
from inspector.xen.xen import Xen
from structs.apic import XAPIC_DESTINATION
from structs.columns import columns, records
from structs.irte import IRTE, REMAPPED

PAGE = 0x1000
STACK_PAGES = 8
PRIMARY_PAGES = (6, 7)
"""Of a CPU's stack of 8 pages: the stack proper. The others are for NMIs and the like, each one a stack of its own."""
FRAME = ("rip", "cs", "eflags", "rsp", "ss")
"""What the processor pushes when such an interrupt comes, from the lowest address up, ending at the top of the page."""
EFLAGS_1 = 1 << 1

TWO_STEPS = (
    "pi_notification_interrupt",
    "pi_update_irte",
    "pi_wakeup_interrupt",
    "vmx_ctxt_switch_from",
    "vmx_ctxt_switch_to",
    "vmx_deliver_posted_intr",
    "vmx_pi_desc_fixup",
    "vmx_pi_do_resume",
    "vmx_pi_hooks_assign",
    "vmx_pi_hooks_deassign",
    "vmx_pi_unblock_vcpu",
    "vmx_sync_pir_to_irr",
    "vmx_vcpu_block",
)
"""Functions that change a descriptor or a list in more than one step."""
FUNCTION_SIZE = 0x200
"""Bytes from its start on that are surely taken for a function's: longer than any of these."""


def corrected(xen: Xen) -> tuple[Xen, list[str]]:
    """The Xen with what held before the crash in place of what the crash wrote, and what a reader should know."""
    notes = [
        "this is what a crashed Xen left: entries of IO-APIC pins were rewritten by the crash itself (vector 0, edge);"
        " what CPUs do is what they did before they were stopped"
    ]
    values: dict[str, int] = {}
    if _variable(xen, "x2apic_enabled") == 0:
        # Once on, x2APIC is only ever off again by the crash: back to how the firmware had it.
        known, why = _x2apic(xen)
        values["x2apic_enabled"] = int(bool(known))
        if known is not False:
            notes.append(f"x2APIC: {why}; the crash sets x2apic_enabled back to what it was at boot")
    if _variable(xen, "iommu_intremap") == 0:
        notes.append("interrupt remapping reads as off; a crash with iommu=crash-disable leaves it so")
    return replace(xen, corrected=values), notes


def _variable(xen: Xen, name: str) -> int | None:
    try:
        return xen.variable(name, 1)
    except UNREADABLE:
        return None


def before_the_nmi(xen: Xen, registers: Mapping[str, int]) -> Mapping[str, int]:
    """The registers that the processor saved when the crash's NMI came; the same object if there are none.

    Only rip, cs, eflags, rsp and ss are known then, and cr3, which an NMI leaves as it is.
    """
    rsp = registers.get("rsp")
    if rsp is None or rsp // PAGE % STACK_PAGES in PRIMARY_PAGES:
        return registers
    top = rsp // PAGE * PAGE + PAGE
    try:
        raw = xen.memory.read(top - 8 * len(FRAME), 8 * len(FRAME))
    except UNREADABLE:
        return registers
    frame = dict(zip(FRAME, np.frombuffer(raw, "<u8").tolist(), strict=True))
    if not frame["eflags"] & EFLAGS_1 or not frame["cs"]:
        return registers
    return {**frame, **({"cr3": registers["cr3"]} if "cr3" in registers else {})}


def with_modes(xen: Xen, cpus: Sequence[Cpu], at_crash: Set[int], paravirtual: Set[str]) -> list[Cpu]:
    """The CPUs with what those on their stack proper did: `at_crash`.

    An NMI that finds a CPU in a guest comes as a VM exit, on that stack; there, too, runs the one that crashed.
    """
    crashed = {cpu.cpu for cpu in cpus if cpu.cpu in at_crash and _cannot_be_in_a_guest(cpu, paravirtual)}
    made = []
    for cpu in cpus:
        if cpu.cpu in at_crash and cpu.mode == IN_XEN:
            mode = CRASHED if cpu.cpu in crashed else IN_GUEST if crashed else CRASHED_OR_IN_GUEST
            cpu = replace(cpu, mode=IN_XEN if mode != IN_GUEST and _half_done(xen, cpu) else mode)
        made.append(cpu)
    return made


def _cannot_be_in_a_guest(cpu: Cpu, paravirtual: Set[str]) -> bool:
    return cpu.current in (None, IDLE) or cpu.current in paravirtual


def _half_done(xen: Xen, cpu: Cpu) -> bool:
    """Whether the stack of the CPU that crashed holds an address in code that changes posted interrupts in steps."""
    functions = [xen.profile.symbol(name) for name in TWO_STEPS if xen.profile.has_symbol(name)]
    rsp = next((of.registers["rsp"] for of in xen.memory.target.cpus() if of.index == cpu.cpu), 0)
    top = rsp // (PAGE * STACK_PAGES) * PAGE * STACK_PAGES + PAGE * STACK_PAGES
    try:
        words = np.frombuffer(xen.memory.read(rsp & ~7, top - (rsp & ~7)), "<u8")
    except UNREADABLE:
        return False
    return any(((words >= start) & (words < start + FUNCTION_SIZE)).any() for start in functions)


def _x2apic(xen: Xen) -> tuple[bool | None, str]:
    """Whether it was in x2APIC mode, as far as that can be told, and by what."""
    try:
        if xen.profile.has_symbol("genapic"):
            name = xen.memory.read(xen.pointer("genapic"), 16).split(b"\0")[0]
            if name:
                return name.startswith(b"x2apic"), f"its APIC driver is {name.decode('ascii', 'backslashreplace')}"
        found = _destinations(xen)
    except UNREADABLE as error:
        return None, f"not known ({error})"
    if not found:
        return None, "not known, for no entry and no descriptor names another CPU than APIC 0"
    # No destination in xAPIC form has bits outside 15:8.
    wide = all(destination & ~XAPIC_DESTINATION for destination in found)
    return wide, f"{'on' if wide else 'off'} by the destinations in its entries and descriptors"


def _destinations(xen: Xen) -> list[int]:
    """The destinations in remapping entries and descriptors that name another CPU than APIC 0."""
    found: list[int] = []
    units, _ = iommu.iommus(xen)
    for unit in units:
        if not unit.table:
            continue
        table = records(REMAPPED, xen.memory.target.read(unit.table, iommu.ENTRIES * IRTE.size))
        entries = columns(REMAPPED, table, ["p", "im", "dst"])
        chosen = (entries["p"] == 1) & (entries["im"] == 0) & (entries["dst"] != 0)
        found += entries["dst"][chosen].tolist()
    _, vcpus, _ = domains.domains(xen)
    found += [vcpu.pi.ndst for vcpu in vcpus if vcpu.pi and vcpu.pi.ndst not in (0, MARKER)]
    return found
