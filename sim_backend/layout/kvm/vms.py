"""VMs of KVM, their vCPUs and these' threads, and the irqfds by which devices raise interrupts in a VM.

Sources: virt/kvm/kvm_main.c (kvm_create_vm, kvm_vm_ioctl_create_vcpu), arch/x86/kvm/vmx/vmx.c (vmx_vcpu_create),
virt/kvm/eventfd.c (kvm_irqfd_assign), virt/lib/irqbypass.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim_backend.layout.kvm.builder import LinuxBuilder
from structs.frozen import frozen

POSTED_INTR_VECTOR = 0xF2
"""A constant of the kernel, as the wakeup vector 0xf1 is (asm/irq_vectors.h)."""
XARRAY_NODE = 2
"""What an entry of an XArray says that is a node."""
SLOTS, SLOT_BITS = 64, 6
IRQCHIP_SPLIT = 2
"""KVM_IRQCHIP_SPLIT, as QEMU asks for beside an intel-iommu of its own; KVM_IRQCHIP_KERNEL is 1."""
IRQ_ROUTING_MSI = 2
MSI_ADDRESS = 0xFEE0_0000
MSI_DESTINATION_SHIFT = 12
NO_CPU = (1 << 32) - 1
"""kvm_vcpu.cpu of one that was never loaded: -1."""
SN = 1 << 1
TASK_RUNNING, TASK_INTERRUPTIBLE = 0, 1
APIC_DEFAULT, APIC_ENABLED = 0xFEE0_0000, 1 << 11
FIRST_GSI = 24
"""The first one behind the pins of an IO-APIC."""
APIC_ID, APIC_SPIV = 0x20, 0xF0


@frozen
class Vm:
    """A VM: `struct kvm`; by vCPU id, their `struct vcpu_vmx`, `struct task_struct` and virtual APIC pages.

    The names are those of `sim_backend.layout.domains.Domain`; addresses are physical.
    """

    address: int
    vcpus: tuple[int, ...]
    tasks: tuple[int, ...]
    lapics: tuple[int, ...]


def create(ground: LinuxBuilder, vm_list: int, pid: int, vcpus: int) -> Vm:
    """A new VM at the head of `vm_list`, none of whose vCPUs was ever loaded."""
    kvm = ground.new("kvm")
    about = {
        "online_vcpus.counter": vcpus,
        "created_vcpus": vcpus,
        "max_vcpus": vcpus,
        "users_count.refs.counter": 1,
        "userspace_pid": pid,
        "arch.irqchip_mode": IRQCHIP_SPLIT,
    }
    ground.put("kvm", kvm, about)
    ground.list_init(kvm + ground.member("kvm", "irqfds.items"))
    stats_id = f"kvm-{pid}".encode()
    ground.memory.write(kvm + ground.member("kvm", "stats_id"), stats_id + b"\0")
    made = [_vcpu(ground, kvm, pid, vcpu_id) for vcpu_id in range(vcpus)]
    head = _xarray(ground, {at: ground.virtual(address) for at, (address, _, _) in enumerate(made)})
    ground.put("kvm", kvm, {"vcpu_array.xa_head": head})
    list_add(ground, vm_list, kvm + ground.member("kvm", "vm_list"))
    addresses, tasks, lapics = ([each[part] for each in made] for part in range(3))
    return Vm(kvm, tuple(addresses), tuple(tasks), tuple(lapics))


def list_add(ground: LinuxBuilder, head: int, node: int) -> None:
    """Put a node behind the head of a list."""
    following_at, before_at = ground.member("list_head", "next"), ground.member("list_head", "prev")
    first = ground.memory.u64(head + following_at)
    ground.memory.set_u64(node + following_at, first)
    ground.memory.set_u64(node + before_at, ground.virtual(head))
    ground.memory.set_u64(ground.physical(first) + before_at, ground.virtual(node))
    ground.memory.set_u64(head + following_at, ground.virtual(node))


def new_task(ground: LinuxBuilder, pid: int, process: int, comm: str, state: int) -> int:
    """A thread of a process; its `struct task_struct`."""
    task = ground.made("task_struct", {"pid": pid, "tgid": process, "__state": state})
    ground.memory.write(task + ground.member("task_struct", "comm"), comm.encode())
    return task


def _vcpu(ground: LinuxBuilder, kvm: int, pid: int, vcpu_id: int) -> tuple[int, int, int]:
    """Its `struct vcpu_vmx`, its thread, its virtual APIC page."""
    thread = pid + 1 + vcpu_id
    task = new_task(ground, thread, pid, f"CPU {vcpu_id}/KVM", TASK_INTERRUPTIBLE)
    kernel_pid = ground.made("pid", {"level": 0}, more=ground.size("upid"))
    numbers = kernel_pid + ground.member("pid", "numbers")
    ground.put("upid", numbers, {"nr": thread})
    links = task + ground.member("task_struct", "pid_links")
    ground.put("hlist_head", kernel_pid + ground.member("pid", "tasks"), {"first": ground.virtual(links)})
    # A vCPU's descriptor must not cross a cache line: vcpu_vmx is aligned as it is.
    address = ground.new("vcpu_vmx")
    regs = ground.new_pages()
    lapic = ground.made(
        "kvm_lapic",
        {
            "base_address": APIC_DEFAULT,
            "vcpu": ground.virtual(address),
            "apicv_active": 1,
            "irr_pending": 1,
            "regs": ground.virtual(regs),
        },
    )
    ground.memory.set_u32(regs + APIC_ID, vcpu_id << 24)
    ground.memory.set_u32(regs + APIC_SPIV, 0x1FF)
    values = {
        "vcpu.kvm": ground.virtual(kvm),
        "vcpu.cpu": NO_CPU,
        "vcpu.vcpu_id": vcpu_id,
        "vcpu.vcpu_idx": vcpu_id,
        "vcpu.wants_to_run": 1,
        "vcpu.pid": ground.virtual(kernel_pid),
        "vcpu.arch.apic": ground.virtual(lapic),
        "vcpu.arch.apic_base": APIC_DEFAULT | APIC_ENABLED,
        "pi_desc.nv": POSTED_INTR_VECTOR,
        "pi_desc.notifications": SN,
    }
    ground.put("vcpu_vmx", address, values)
    ground.put("vcpu_vmx", address, {"loaded_vmcs": ground.virtual(address + ground.member("vcpu_vmx", "vmcs01"))})
    ground.list_init(address + ground.member("vcpu_vmx", "pi_wakeup_list"))
    return address, task, regs


def _xarray(ground: LinuxBuilder, entries: Mapping[int, int]) -> int:
    """The head of an XArray of one level or two, of 64 slots each, as `xa_head` has it."""
    if not entries:
        return 0
    if max(entries) == 0:
        return entries[0]
    if max(entries) < SLOTS:
        return _xa_node(ground, 0, entries)
    children: dict[int, dict[int, int]] = {}
    for at, entry in entries.items():
        children.setdefault(at >> SLOT_BITS, {})[at & SLOTS - 1] = entry
    return _xa_node(ground, SLOT_BITS, {at: _xa_node(ground, 0, slots) for at, slots in children.items()})


def _xa_node(ground: LinuxBuilder, shift: int, slots: Mapping[int, int]) -> int:
    node = ground.made("xa_node", {"shift": shift, "count": len(slots)})
    for at, entry in slots.items():
        ground.memory.set_u64(node + ground.member("xa_node", "slots") + 8 * at, entry)
    return ground.virtual(node) | XARRAY_NODE


def add_irqfd(ground: LinuxBuilder, kvm: int, irq: int) -> int:
    """An irqfd of a VM, connected to vfio's producer of an irq; its MSI is not set up yet. Its address."""
    token = ground.virtual(ground.heap.small(ground.memory, 64))
    producer = ground.made("irq_bypass_producer", {"token": token, "irq": irq})
    gsi = FIRST_GSI + irq
    values = {
        "kvm": ground.virtual(kvm),
        "gsi": gsi,
        "irq_entry.gsi": gsi,
        "eventfd": token,
        "producer": ground.virtual(producer),
        "consumer.token": token,
    }
    irqfd = ground.made("kvm_kernel_irqfd", values)
    ground.list_add_tail(kvm + ground.member("kvm", "irqfds.items"), irqfd + ground.member("kvm_kernel_irqfd", "list"))
    assigned = ground.get("kvm", kvm, "arch.assigned_device_count.counter")
    ground.put("kvm", kvm, {"arch.assigned_device_count.counter": assigned + 1})
    return irqfd


def set_message(ground: LinuxBuilder, irqfd: int, vcpu_id: int, vector: int) -> None:
    """What the guest programs: an MSI of a vector to one vCPU, fixed, physical."""
    message = {
        "irq_entry.type": IRQ_ROUTING_MSI,
        "irq_entry.msi.address_lo": MSI_ADDRESS | vcpu_id << MSI_DESTINATION_SHIFT,
        "irq_entry.msi.data": vector,
    }
    ground.put("kvm_kernel_irqfd", irqfd, message)


def remove_irqfd(ground: LinuxBuilder, irqfd: int) -> None:
    """Take an irqfd off its VM's list, and free it and its producer."""
    kvm = ground.physical(ground.get("kvm_kernel_irqfd", irqfd, "kvm"))
    producer = ground.physical(ground.get("kvm_kernel_irqfd", irqfd, "producer"))
    ground.list_del(irqfd + ground.member("kvm_kernel_irqfd", "list"))
    assigned = ground.get("kvm", kvm, "arch.assigned_device_count.counter")
    ground.put("kvm", kvm, {"arch.assigned_device_count.counter": assigned - 1})
    ground.heap.release(irqfd, ground.size("kvm_kernel_irqfd"))
    ground.heap.release(producer, ground.size("irq_bypass_producer"))
