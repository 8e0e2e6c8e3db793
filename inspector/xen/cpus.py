"""Physical CPUs as Xen counts them."""

from __future__ import annotations

from inspector.xen.xen import Xen

CPUS_LIMIT = 4096


def online(xen: Xen) -> dict[int, int]:
    """APIC ID by number of each online CPU. Source: `cpu_online_map`, `x86_cpu_to_apicid`.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be read.
    """
    count = min(xen.variable("nr_cpu_ids", 4), CPUS_LIMIT)
    mask = int.from_bytes(xen.memory.read(xen.profile.symbol("cpu_online_map"), -(-count // 64) * 8), "little")
    apics = xen.array("x86_cpu_to_apicid", 4, count)
    return {cpu: apics[cpu] for cpu in range(count) if mask >> cpu & 1}
