"""The irqfds of VMs: which of the host's irqs are whose, and what the guests have made of them.

Sources: include/linux/kvm_irqfd.h, include/linux/irqbypass.h; arch/x86/kvm/irq_comm.c (kvm_set_msi_irq,
kvm_intr_is_single_vcpu, kvm_irq_is_postable).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from inspector.base.errors import UNREADABLE
from inspector.kernels.structures import BrokenList
from inspector.linux.linux import Linux
from inspector.model.absence import Absence, unreadable
from inspector.model.kvm import Irqfd
from inspector.model.snapshot import vm_name
from structs.frozen import frozen

IRQFDS_LIMIT = 1 << 14
MSI = 2
"""KVM_IRQ_ROUTING_MSI."""
POSTABLE_MODES = (0, 1)
"""Delivery modes that are posted: fixed, and lowest priority."""
LOGICAL = 1 << 2
"""Of an MSI's address: the destination mode. A logical one is told only by the guest's APICs."""
BROADCAST = 0xFF


@frozen
class Vm:
    """A VM: its number, `struct kvm`, how many vCPUs it has, whether an irqchip is in the kernel, devices' irqs."""

    number: int
    address: int
    vcpus: int
    irqchip: bool
    assigned: int | None

    @property
    def name(self) -> str:
        """`vm1234`."""
        return vm_name(self.number)


def irqfds(linux: Linux, vm: Vm, names: Mapping[int, str], ids: Collection[int], absent: list[Absence]) -> list[Irqfd]:
    """A VM's irqfds in its list's order.

    Args:
        linux: with the module kvm's types.
        vm: whose.
        names: of its vCPUs by the address of their `struct kvm_vcpu`.
        ids: of its vCPUs.
        absent: what could not be read is told there.
    """
    try:
        link = linux.profile.offset("kvm_kernel_irqfd", "list")
        head = vm.address + linux.profile.offset("kvm", "irqfds.items")
        nodes = _nodes(linux, vm, head, absent)
        own = linux.optional("kvm_kernel_irqfd", "irq_bypass_vcpu")
        message = [f"irq_entry.msi.{name}" for name in ("address_lo", "address_hi", "data")]
        paths = ("gsi", "producer", "irq_entry.type", *message, *own)
        rows = linux.structs("kvm_kernel_irqfd", [node - link for node in nodes], *paths)
        producers = linux.structs("irq_bypass_producer", [row["producer"] if row else 0 for row in rows], "irq")
    except UNREADABLE as error:
        absent.append(unreadable(vm.name, f"{vm.name}: its irqfds: {error}", "domains", vm.address))
        return []
    found = []
    for row, producer in zip(rows, producers, strict=True):
        if row is None:
            continue
        vector, vcpu, postable = _message(*(row[name] for name in message)) if row["irq_entry.type"] == MSI else NONE
        irq = producer["irq"] if row["producer"] and producer else None
        posted_to = names.get(row[own[0]], "") if own else None
        single = vcpu if vcpu in ids else None
        found.append(Irqfd(row["gsi"], irq, postable and single is not None, vector, single, posted_to))
    return found


def _nodes(linux: Linux, vm: Vm, head: int, absent: list[Absence]) -> list[int]:
    try:
        return linux.list_nodes(head, IRQFDS_LIMIT)
    except BrokenList as error:
        absent.append(unreadable(vm.name, f"{vm.name}: its irqfds: {error}", "domains", head))
        return error.nodes


NONE: tuple[int | None, int | None, bool | None] = (None, None, None)


def _message(low: int, high: int, data: int) -> tuple[int | None, int | None, bool | None]:
    """Vector and vCPU of an MSI, and whether it may be posted; no vCPU where only the guest's APICs tell."""
    destination = low >> 12 & 0xFF | high & ~0xFF
    single = None if low & LOGICAL or destination == BROADCAST else destination
    return data & 0xFF, single, data >> 8 & 7 in POSTABLE_MODES
