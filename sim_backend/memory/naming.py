"""How vCPUs and devices are named."""

from __future__ import annotations

VcpuName = str | tuple[int, int] | int
"""`d1v0`, (1, 0), or the physical address of its `struct vcpu`."""


def parse_vcpu(name: str) -> tuple[int, int] | None:
    """(1, 0) of `d1v0`; None of what is no vCPU's name."""
    domain, _, vcpu = name.removeprefix("d").partition("v")
    return (int(domain), int(vcpu)) if name[:1] == "d" and domain.isdecimal() and vcpu.isdecimal() else None


def device_name(sid: int) -> str:
    """`00:03.0`."""
    return f"{sid >> 8:02x}:{sid >> 3 & 31:02x}.{sid & 7}"
