"""What follows from a layout, and changes only when domains or devices come or go: who there is, and where."""

from __future__ import annotations

from dataclasses import dataclass

from sim_backend.layout.layout import Layout
from sim_backend.logic.lapic import LAPIC_IRR
from sim_backend.memory.errors import SimError


@dataclass(frozen=True, slots=True)
class Addresses:
    """Physical addresses.

    Attributes:
        names: by guest vCPU, its domain and number.
        idle: by CPU, its idle vCPU.
        vcpus: all guests' vCPUs.
        domain_of: by vCPU, idle ones too, its `struct domain`.
        irrs: by guest vCPU, where its virtual IRR begins.
        units: by vCPU, its `struct sched_unit`; resources: by CPU, its `struct sched_resource`.
        softirqs: by CPU, its `__softirq_pending`; current: its `cpu_info.current_vcpu`.
        irq_count, curr_vcpu: bytes from a CPU's `vmx_pi_blocking` to these per-CPU variables.
        unit_running, unit_res, resource_curr: bytes to these members.
        by_apic: the CPU of an APIC ID.
    """

    names: dict[int, tuple[int, int]]
    idle: list[int]
    vcpus: list[int]
    domain_of: dict[int, int]
    irrs: dict[int, int]
    units: dict[int, int]
    resources: list[int]
    softirqs: list[int]
    current: list[int]
    irq_count: int
    curr_vcpu: int
    unit_running: int
    unit_res: int
    resource_curr: int
    by_apic: dict[int, int]

    @classmethod
    def of(cls, layout: Layout) -> Addresses:
        """A layout's."""
        cpus = range(layout.config.cpus)
        names = {
            vcpu: (number, index)
            for number, domain in layout.domains.items()
            if domain.hvm
            for index, vcpu in enumerate(domain.vcpus)
        }
        idle = [layout.idle_vcpu(cpu) for cpu in cpus]
        everyone = [*names, *idle]

        def pointed(struct: str, address: int, path: str) -> int:
            return layout.physical(layout.get(struct, address, path))

        units = {v: pointed("vcpu", v, "sched_unit") for v in everyone}
        blocking = layout.symbol("per_cpu__vmx_pi_blocking")
        return cls(
            names=names,
            idle=idle,
            vcpus=list(names),
            domain_of={v: pointed("vcpu", v, "domain") for v in everyone},
            irrs={v: pointed("vcpu", v, "arch.hvm.vlapic.regs") + LAPIC_IRR for v in names},
            units=units,
            resources=[pointed("sched_unit", units[v], "res") for v in idle],
            softirqs=[layout.irq_stat(cpu) for cpu in cpus],
            current=[layout.cpu_info(cpu) + layout.member("cpu_info", "current_vcpu") for cpu in cpus],
            irq_count=layout.symbol("per_cpu__irq_count") - blocking,
            curr_vcpu=layout.symbol("per_cpu__curr_vcpu") - blocking,
            unit_running=layout.member("sched_unit", "is_running"),
            unit_res=layout.member("sched_unit", "res"),
            resource_curr=layout.member("sched_resource", "curr"),
            by_apic={layout.config.apics[cpu]: cpu for cpu in cpus},
        )


def areas(layout: Layout) -> dict[int, int]:
    """By CPU that has a per-CPU area, where its `vmx_pi_blocking` is."""
    found = {}
    for cpu in range(layout.config.cpus):
        try:
            found[cpu] = layout.percpu(cpu, "vmx_pi_blocking")
        except SimError:
            continue
    return found
