"""Posting switched on as a VT-d unit that can post would have it: in memory, once, before there are vCPUs.

Xen sets `iommu_intpost` when its units can post, and a domain's `pi_ops` when it gets its first device
(vmx_pi_hooks_assign). Here both are set by hand, by symbol; from then on all is Xen's own code.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from inspector.lab import LabError
from inspector.targets.live.bochs_debugger import BochsDebugger, registers
from structs.xen.profile import Profile

SWITCHES_SET = 3
"""`pi_ops.flags`: PI_CSW_FROM and PI_CSW_TO."""
HOOKS = ("arch.hvm.pi_ops.flags", "arch.hvm.pi_ops.vcpu_block")


def breakpoint_at(debugger: BochsDebugger, address: int, deadline: float) -> None:
    """Let the machine run until a CPU, from then on the one in front, comes to a linear address; no breakpoint is left.

    Raises:
        LabError: none comes there by the deadline.
    """
    debugger.command(f"lb {address:#x}")
    debugger.cont()
    said = debugger.wait(deadline - time.monotonic())
    if said is None:
        debugger.stop()
        raise LabError(f"the machine does not come to {address:#x}")
    hit = re.search(r"^\((\d+)\) Breakpoint \d+, ", said, re.MULTILINE)
    if not hit:
        raise LabError(f"the machine stopped before it came to {address:#x}: {said.strip()[-200:]}")
    debugger.command(f"set $cpu = {hit[1]}")
    for number in re.findall(r"^\s*(\d+) lbreakpoint", debugger.command("blist"), re.MULTILINE):
        debugger.command(f"del {number}")


def switch_on(debugger: BochsDebugger, profile: Profile, symbols: Mapping[str, int], deadline: float) -> None:
    """Set both. The machine stands at the first instruction of Xen before, and where the domain is created after.

    Args:
        symbols: all of this Xen's.

    Raises:
        LabError: Xen does not come to where they are set, or has no such function any more.
        ProfileError: this build of Xen has them no more.
    """
    breakpoint_at(debugger, _address(symbols, "start_vmx"), deadline)
    debugger.store(debugger.physical(profile.symbol("iommu_intpost")), 1, 1)
    breakpoint_at(debugger, _address(symbols, "hvm_domain_initialise"), deadline)
    domain = registers(debugger.command("r"))["rdi"]
    flags, block = (domain + profile.offset("domain", path) for path in HOOKS)
    debugger.store(debugger.physical(block), profile.symbol("vmx_vcpu_block"), 8)
    debugger.store(debugger.physical(flags), SWITCHES_SET, 1)


def _address(symbols: Mapping[str, int], name: str) -> int:
    try:
        return symbols[name]
    except KeyError:
        raise LabError(f"posting cannot be switched on: this Xen has no symbol {name}") from None
