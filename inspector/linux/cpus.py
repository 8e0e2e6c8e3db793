"""Physical CPUs as Linux counts them, with the descriptor that each has for its own posted MSIs."""

from __future__ import annotations

from inspector.base.errors import UNREADABLE
from inspector.kernels.descriptors import read_descriptors
from inspector.linux.linux import Linux
from inspector.model.absence import Absence, unreadable
from inspector.model.snapshot import Cpu, Descriptor

BAD_APICID = (0xFFFF, 0xFFFFFFFF)
POSTED_MSI = "posted_msi_pi_desc"
"""A per-CPU descriptor (6.10 on, CONFIG_X86_POSTED_MSI): many entries post to it, and the CPU itself takes them."""


def cpus(linux: Linux, absent: list[Absence]) -> list[Cpu]:
    """Every CPU that Linux has set up, by number.

    Raises:
        NotMapped, NotReadable, ProfileError: they cannot be told.
    """
    online = linux.cpus_of(linux.memory.read(linux.profile.symbol("__cpu_online_mask"), linux.mask_bytes))
    possible = linux.cpus_of(linux.memory.read(linux.profile.symbol("__cpu_possible_mask"), linux.mask_bytes))
    size = linux.size_of("x86_cpu_to_apicid")
    apics = linux.memory.read_parts([(linux.per_cpu("x86_cpu_to_apicid", cpu), size) for cpu in possible])
    registers = _registers(linux)
    posted = _posted_msi(linux, possible, absent)
    found = []
    for cpu, raw in zip(possible, apics, strict=True):
        if raw is None:
            absent.append(unreadable(f"CPU {cpu}", "its APIC id (x86_cpu_to_apicid) cannot be read", "apic_id"))
            continue
        apic = int.from_bytes(raw, "little")
        if apic in BAD_APICID:
            continue
        own = registers.get(linux.areas[cpu], {})
        rip = own.get("rip")
        found.append(
            Cpu(
                cpu,
                apic,
                cpu in online,
                linux.areas[cpu],
                rip=rip,
                rsp=own.get("rsp"),
                eflags=own.get("eflags"),
                cs=own.get("cs"),
                cr3=own.get("cr3"),
                function=None if rip is None else linux.function(rip),
                posted_msi=posted.get(cpu),
            )
        )
    return found


def _registers(linux: Linux) -> dict[int, dict[str, int]]:
    """The registers of each CPU by its per-CPU area: GS has that address, or what is swapped in for it in user mode."""
    found: dict[int, dict[str, int]] = {}
    for cpu in linux.memory.target.cpus():
        for name in ("gs_base", "k_gs_base"):
            if (base := cpu.registers.get(name)) in linux.areas:
                found.setdefault(base, dict(cpu.registers))
    return found


def _posted_msi(linux: Linux, possible: tuple[int, ...], absent: list[Absence]) -> dict[int, Descriptor]:
    if not linux.profile.has_symbol(POSTED_MSI):
        return {}
    found: dict[int, Descriptor] = {}
    for cpu in possible:
        try:
            address = linux.memory.translate(linux.per_cpu(POSTED_MSI, cpu))
        except UNREADABLE as error:
            absent.append(unreadable(f"CPU {cpu}", f"its {POSTED_MSI}: {error}", "posted_msi"))
            continue
        for each in read_descriptors(linux.memory.target, [address]):
            found[cpu] = each
    return found
