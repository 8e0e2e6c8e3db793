"""What lies where in a machine with KVM, for the comparison's words and order."""

from __future__ import annotations

from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.memory.memory import PAGE

from ..compare import Names
from .states import descriptor_of, node_of

UNORDERED = ("preempt_count", "irq_desc lock")
"""The count that is up while a lock is held; the lock of an irq, which is not modelled."""
IRQ_DESC_LOCK = 164
"""Of `struct irq_desc`, of which no profile keeps it."""
FOREIGN = ("statistics",)
"""What the code counts for `kvm_stat`."""
FIELDS = ((0, 32, "PIR"), (32, 1, "ON SN"), (34, 1, "NV"), (36, 4, "NDST"), (32, 32, "reserved"))
MEMBERS = {
    "cpu": 4,
    "mode": 4,
    "requests": 8,
    "wait.task": 8,
    "preempted": 1,
    "ready": 1,
    "scheduled_out": 1,
    "arch.mp_state": 4,
}


def names_of(layout: KvmLayout) -> Names:
    """The names of all parts of a machine."""
    parts: list[tuple[int, int, str]] = []
    count = layout.member("pcpu_hot", "preempt_count")
    for cpu in range(layout.config.cpus):
        parts += [
            (layout.percpu(cpu, "pcpu_hot") + count, 4, f"CPU {cpu}'s preempt_count"),
            (layout.percpu(cpu, "wakeup_vcpus_on_cpu"), 16, f"wakeup list of CPU {cpu}"),
            (layout.percpu(cpu, "wakeup_vcpus_on_cpu_lock"), 4, f"wakeup list lock of CPU {cpu}"),
            (layout.percpu(cpu, "kvm_running_vcpu"), 8, f"kvm_running_vcpu of CPU {cpu}"),
        ]
    for number, vm in layout.domains.items():
        for index, vcpu in enumerate(vm.vcpus):
            name = f"d{number}v{index}"
            place = descriptor_of(layout, vcpu)
            parts += [(place + at, size, f"{name} {part}") for at, size, part in FIELDS]
            parts.append((node_of(layout, vcpu), 16, f"{name} node"))
            parts.append((vcpu + layout.member("vcpu_vmx", "vcpu.stat.generic.halt_wakeup"), 8, f"{name} statistics"))
            for member, size in MEMBERS.items():
                parts.append((vcpu + layout.member("vcpu_vmx", f"vcpu.{member}"), size, f"{name} {member}"))
            parts.append((vcpu, layout.size("vcpu_vmx"), f"{name} struct vcpu_vmx"))
            parts.append((vm.lapics[index], PAGE, f"{name} APIC page"))
            parts.append((layout.task(vcpu), layout.size("task_struct"), f"{name} task"))
    for desc in layout.interrupts.descs.values():
        parts.append((desc + IRQ_DESC_LOCK, 4, "irq_desc lock"))
    parts.append((layout.symbol("irq_2_ir_lock"), 4, "lock of all entries"))
    for msi in [msi for device in layout.devices.values() for msi in device.msis]:
        parts.append((layout.irte(msi.unit, msi.index), 16, f"IRTE {msi.index}"))
        parts.append((msi.msi_desc, layout.size("intel_ir_data"), f"intel_ir_data of irq {msi.irq}"))
    return Names(parts, UNORDERED, FOREIGN)
