"""Where the CPUs of a Xen that crashed were before they were stopped.

Sources: xen/arch/x86/crash.c (`nmi_shootdown_cpus`, `do_nmi_crash`), asm/current.h (a CPU's stack).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.model.snapshot import CRASHED, CRASHED_OR_IN_GUEST, IDLE, IN_GUEST, IN_XEN, Cpu
from inspector.xen.xen import Xen

PAGE = 0x1000
STACK_PAGES = 8
PRIMARY_PAGES = (6, 7)
"""Of a CPU's stack of 8 pages: the stack proper. The others are for NMIs and the like, each one a stack of its own."""
FRAME = ("rip", "cs", "eflags", "rsp", "ss")
"""What the processor pushes when such an interrupt comes, from the lowest address up, ending at the top of the page."""
EFLAGS_1 = 1 << 1


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


def with_modes(cpus: Sequence[Cpu], at_crash: Set[int], paravirtual: Set[str]) -> list[Cpu]:
    """The CPUs with what those on their stack proper did: `at_crash`.

    An NMI that finds a CPU in a guest comes as a VM exit, on that stack; there, too, runs the one that crashed.
    """
    crashed = {cpu.cpu for cpu in cpus if cpu.cpu in at_crash and _cannot_be_in_a_guest(cpu, paravirtual)}
    made = []
    for cpu in cpus:
        if cpu.cpu in at_crash and cpu.mode == IN_XEN:
            mode = CRASHED if cpu.cpu in crashed else IN_GUEST if crashed else CRASHED_OR_IN_GUEST
            cpu = replace(cpu, mode=IN_XEN if mode != IN_GUEST and _may_be_half_done(cpu) else mode)
        made.append(cpu)
    return made


def _cannot_be_in_a_guest(cpu: Cpu, paravirtual: Set[str]) -> bool:
    return cpu.current in (None, IDLE) or cpu.current in paravirtual


def _may_be_half_done(cpu: Cpu) -> bool:
    """Whether its stack leads through code that changes posted interrupts in steps, or nobody can name what it leads
    through. A stack that the dump does not hold says nothing: most of those CPUs come from a guest."""
    return bool(cpu.between_steps) or cpu.function is None
