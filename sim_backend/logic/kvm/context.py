"""A machine that Linux and KVM run on, as KVM's logic sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim_backend.logic.context import Context, DescriptorOffsets, msi_key
from sim_backend.logic.lapic import LAPIC_IRR
from structs.apic import XAPIC_DESTINATION

if TYPE_CHECKING:
    from sim_backend.layout.kvm.layout import KvmLayout
    from sim_backend.logic.kvm.services import KvmServices
    from sim_backend.logic.kvm.state import KvmState
    from sim_backend.logic.kvm.versions import KvmVersion
    from sim_backend.logic.workload import Chance

POSTED_INTR_VECTOR, POSTED_INTR_WAKEUP_VECTOR = 0xF2, 0xF1
RESCHEDULE_VECTOR, LOCAL_TIMER_VECTOR = 0xFD, 0xEC
"""arch/x86/include/asm/irq_vectors.h"""
OUTSIDE_GUEST_MODE, IN_GUEST_MODE, EXITING_GUEST_MODE = range(3)
"""`kvm_vcpu.mode`."""
RUNNABLE, HALTED = 0, 3
"""`kvm_vcpu.arch.mp_state`."""
TASK_RUNNING, TASK_INTERRUPTIBLE = 0, 1
"""`task_struct.__state`."""
REQ_UNBLOCK, REQ_EVENT, REQ_NMI = 2, 14, 17
"""Bits of `kvm_vcpu.requests`."""
NO_CPU = 0xFFFF_FFFF


class KvmOffsets(DescriptorOffsets):
    """Where members lie in the structures of one build of Linux, from the `struct vcpu_vmx` where they are a vCPU's."""

    __slots__ = (
        *("assigned", "cpu", "irqfds_lock", "irte_entry", "mode", "mp_state", "node"),
        *("on_cpu", "on_rq", "posted_vcpu", "preempted", "producer", "ready", "requests", "scheduled_out", "task_cpu"),
        *("task_state", "wait", "wants_to_run"),
    )

    def __init__(self, layout: KvmLayout) -> None:
        member = layout.member
        super().__init__(member("vcpu_vmx", "pi_desc"), member("list_head", "next"), member("list_head", "prev"))
        self.node = member("vcpu_vmx", "pi_wakeup_list")
        self.cpu = member("kvm_vcpu", "cpu")
        self.mode = member("kvm_vcpu", "mode")
        self.requests = member("kvm_vcpu", "requests")
        self.wait = member("kvm_vcpu", "wait.task")
        self.preempted = member("kvm_vcpu", "preempted")
        self.ready = member("kvm_vcpu", "ready")
        self.scheduled_out = member("kvm_vcpu", "scheduled_out")
        self.wants_to_run = member("kvm_vcpu", "wants_to_run")
        self.mp_state = member("kvm_vcpu", "arch.mp_state")
        self.assigned = member("kvm", "arch.assigned_device_count.counter")
        self.irqfds_lock = member("kvm", "irqfds.lock")
        self.task_state = member("task_struct", "__state")
        self.on_rq = member("task_struct", "on_rq")
        self.on_cpu = member("task_struct", "on_cpu")
        self.task_cpu = member("task_struct", "thread_info.cpu")
        self.producer = member("kvm_kernel_irqfd", "producer")
        self.irte_entry = member("intel_ir_data", "irte_entry")
        self.posted_vcpu = member("intel_ir_data", "irq_2_iommu.posted_vcpu")


@dataclass(frozen=True, slots=True)
class KvmAddresses:
    """Physical addresses.

    Attributes:
        names: by vCPU, its VM and number. vcpus: all of them.
        irrs: by vCPU, where its virtual IRR begins. tasks: its thread's `struct task_struct`; vms: its `struct kvm`.
        by_apic: the CPU of an APIC ID.
        lists, locks, running, current: by CPU, its `wakeup_vcpus_on_cpu`, the lock of that, its `kvm_running_vcpu` and
            its current task.
        idle: by CPU, its idle task.
        destinations: by CPU, the NDST that names it.
        entries_lock: `irq_2_ir_lock`.
    """

    names: dict[int, tuple[int, int]]
    vcpus: list[int]
    irrs: dict[int, int]
    tasks: dict[int, int]
    vms: dict[int, int]
    by_apic: dict[int, int]
    lists: list[int]
    locks: list[int]
    running: list[int]
    current: list[int]
    idle: list[int]
    destinations: list[int]
    entries_lock: int

    @classmethod
    def of(cls, layout: KvmLayout) -> KvmAddresses:
        """A layout's."""
        cpus, apics = range(layout.config.cpus), layout.config.apics
        names = {v: (vm, number) for vm, has in layout.domains.items() for number, v in enumerate(has.vcpus)}
        current = layout.member("pcpu_hot", "current_task")
        return cls(
            names=names,
            vcpus=list(names),
            irrs={v: layout.vlapic(*name) + LAPIC_IRR for v, name in names.items()},
            tasks={v: layout.task(v) for v in names},
            vms={v: layout.vm(vm) for v, (vm, _) in names.items()},
            by_apic={apics[cpu]: cpu for cpu in cpus},
            lists=[layout.percpu(cpu, "wakeup_vcpus_on_cpu") for cpu in cpus],
            locks=[layout.percpu(cpu, "wakeup_vcpus_on_cpu_lock") for cpu in cpus],
            running=[layout.percpu(cpu, "kvm_running_vcpu") for cpu in cpus],
            current=[layout.percpu(cpu, "pcpu_hot") + current for cpu in cpus],
            idle=[layout.idle_task(cpu) for cpu in cpus],
            # Linux's `apic_id << 8 & 0xFF00` where the APICs are no x2APICs.
            destinations=[apic if layout.config.x2apic else apic << 8 & XAPIC_DESTINATION for apic in apics],
            entries_lock=layout.symbol("irq_2_ir_lock"),
        )


class KvmContext(Context):
    """A machine that Linux and KVM run on.

    Attributes:
        producers: by MSI that a VM has, its `struct irq_bypass_producer` (virtual).
    """

    __slots__ = ("producers",)

    layout: KvmLayout
    version: KvmVersion
    state: KvmState
    o: KvmOffsets
    addresses: KvmAddresses
    services: KvmServices

    def __init__(self, layout: KvmLayout, version: KvmVersion, state: KvmState, chance: Chance) -> None:
        super().__init__(layout, version, state, chance, KvmOffsets(layout))
        self.addresses = KvmAddresses.of(layout)
        self.producers: dict[int, int] = {}
        self.find_producers()

    def find_producers(self) -> None:
        """Note who produces the interrupts of devices that VMs have: an irqfd forgets it, but for the time being."""
        for device in self.layout.devices.values():
            for msi in device.msis:
                if msi.pirq and (producer := self.memory.u64(msi.pirq + self.o.producer)):
                    self.producers[msi_key(msi)] = producer

    def posts(self, vm: int) -> bool:
        """Whether devices may post to a VM's vCPUs. Source: `vmx_can_use_vtd_pi`."""
        return self.layout.config.intpost and self.memory.u32(vm + self.o.assigned) != 0


CONTROL_NV, CONTROL_NDST = 16, 32
"""Bits of the descriptor's control word below NV and NDST."""
