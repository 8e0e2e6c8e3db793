"""Physical CPUs as Xen counts them."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.xen.xen import Xen

CPUS_LIMIT = 4096
BAD_APICID = (1 << 32) - 1
MASK64 = (1 << 64) - 1


def online(xen: Xen) -> dict[int, int]:
    """APIC ID by number of each online CPU. Source: `cpu_online_map`, `x86_cpu_to_apicid`.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    count = min(xen.variable("nr_cpu_ids", 4), CPUS_LIMIT)
    apics = xen.array("x86_cpu_to_apicid", 4, count)
    mask = online_mask(xen, apics, areas(xen, count) if xen.memory.target.crash else ())
    return {cpu: apics[cpu] for cpu in range(count) if mask >> cpu & 1}


def areas(xen: Xen, count: int) -> list[int | None]:
    """`__per_cpu_offset` of each CPU; None for the marker of a CPU without an area, whose addresses are not canonical.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    start = xen.profile.symbol("__per_cpu_start")
    offsets = xen.array("__per_cpu_offset", 8, count)
    return [offset if (start + offset & MASK64) >> 47 == 0x1FFFF else None for offset in offsets]


def online_mask(xen: Xen, apics: Sequence[int], areas: Sequence[int | None]) -> int:
    """A bit for each online CPU. A crash clears `cpu_online_map`: then those that have an area were.

    Raises:
        NotMapped, NotReadable, ProfileError: it cannot be read.
    """
    raw = xen.memory.read(xen.profile.symbol("cpu_online_map"), -(-len(apics) // 64) * 8)
    mask = int.from_bytes(raw, "little")
    if mask or not xen.memory.target.crash:
        return mask
    return sum(1 << cpu for cpu, area in enumerate(areas) if area is not None and apics[cpu] != BAD_APICID)
