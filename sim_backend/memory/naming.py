"""How vCPUs and devices are named."""

from __future__ import annotations

VcpuName = str | tuple[int, int] | int
"""`d1v0` (of KVM `vm1v0` too), (1, 0), or the physical address of its structure."""
PREFIXES = ("vm", "d")


def parse_vcpu(name: str) -> tuple[int, int] | None:
    """(1, 0) of `d1v0` and `vm1v0`; None of what is no vCPU's name."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            domain, _, vcpu = name.removeprefix(prefix).partition("v")
            return (int(domain), int(vcpu)) if domain.isdecimal() and vcpu.isdecimal() else None
    return None


def device_name(sid: int) -> str:
    """`00:03.0`."""
    return f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"
