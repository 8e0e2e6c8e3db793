"""What lies where in a machine with Xen, for the comparison's words and order."""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.layout.layout import Layout
from sim_backend.memory.memory import PAGE

from .compare import Names
from .sides import percpu
from .states import message_of

UNORDERED = ("preempt_count", "vLAPIC", "MSI message")
"""The count that is up while a lock is held; IRR, of which Xen sets one bit after the other; the message that becomes
remappable, which nobody else sees."""


def names_of(layout: Layout, code_symbol: Callable[[str], int]) -> Names:
    """The names of all parts of a machine."""
    parts: list[tuple[int, int, str]] = []
    for cpu in range(layout.config.cpus):
        preempt = percpu(layout, cpu, code_symbol("per_cpu____preempt_count"))
        parts += [
            (preempt, 4, "preempt_count"),
            (layout.percpu(cpu, "vmx_pi_blocking"), 16, f"list of CPU {cpu}"),
            (layout.percpu(cpu, "vmx_pi_blocking") + 16, 8, f"list lock of CPU {cpu}"),
            (layout.percpu(cpu, "irq_count"), 4, f"irq_count of CPU {cpu}"),
            (layout.irq_stat(cpu), 4, f"softirqs of CPU {cpu}"),
        ]
    for number, domain in layout.domains.items():
        hooks = domain.address + layout.member("domain", "arch.hvm.pi_ops.flags")
        parts.append((hooks, 16, f"d{number} pi_ops"))
        for index, vcpu in enumerate(domain.vcpus):
            place = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_desc")
            node = vcpu + layout.member("vcpu", "arch.hvm.vmx.pi_blocking.list")
            fields = [(0, 32, "PIR"), (32, 1, "ON SN"), (34, 1, "NV"), (36, 4, "NDST"), (32, 32, "reserved")]
            parts += [(place + at, size, f"d{number}v{index} {name}") for at, size, name in fields]
            parts += [(node, 16, f"d{number}v{index} node"), (node + 16, 8, f"d{number}v{index} node's lock")]
            flags = vcpu + layout.member("vcpu", "pause_flags")
            parts.append((flags, 4, f"d{number}v{index} pause_flags"))
            if regs := layout.get("vcpu", vcpu, "arch.hvm.vlapic.regs"):
                parts.append((layout.physical(regs), PAGE, f"d{number}v{index} vLAPIC"))
            parts.append((vcpu, PAGE, f"d{number}v{index} struct vcpu"))
    for unit in layout.units:
        parts.append((unit.iommu + layout.member("vtd_iommu", "intremap.lock"), 4, "table lock"))
    for msi in [msi for device in layout.devices.values() for msi in device.msis]:
        parts.append((message_of(layout, msi.msi_desc), layout.size("msi_msg"), "MSI message"))
        parts.append((layout.irte(msi.unit, msi.index), 16, f"IRTE {msi.index}"))
        parts.append((msi.msi_desc, layout.size("msi_desc"), "msi_desc"))
    return Names(parts, UNORDERED)
