"""Xen as what owns a machine's interrupts: what of it stands in a snapshot.

Sources of what the firmware told it: `struct efi` (xen/include/xen/efi.h), `struct e820map`
(xen/arch/x86/include/asm/e820.h).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from inspector.base.errors import UNREADABLE
from inspector.kernels.host import Build, HostUnit, Machine, Switches
from inspector.model.absence import Absence, unreadable
from inspector.model.interrupts import Irq, Msi, Pin
from inspector.model.snapshot import BlockingList, Cpu, Domain, Kernel, Vcpu
from inspector.targets.ranges import Range
from inspector.xen.xen import Xen
from structs.frozen import frozen

T = TypeVar("T")

FLAGS = {"intremap": "iommu_intremap", "intpost": "iommu_intpost", "x2apic": "x2apic_enabled"}
VECTORS = ("posted_intr_vector", "pi_wakeup_vector")

EFI_ACPI, EFI_ACPI20 = 8, 16
"""Where in `struct efi` the addresses of the root pointers stand; all ones if there is none."""
NO_ROOT = (0, (1 << 64) - 1)
E820 = np.dtype([("address", "<u8"), ("size", "<u8"), ("type", "<u4")])
E820_LIMIT = 1024
ACPI_TYPES = (3, 4)
"""E820_ACPI and E820_NVS: memory that holds ACPI tables."""
AREA_LIMIT = 16 << 20


@frozen
class XenHost:
    """The `inspector.kernels.host.Host` of a Xen."""

    xen: Xen
    name: str = "Xen"
    origin: str = "Xen's list of VT-d units"

    def build(self, absent: list[Absence]) -> Build:
        """Its version and build, where its image lies and its page table."""
        profile = self.xen.profile
        start = _attempt("Xen's image", lambda: self.xen.phys_start, "phys_start", absent)
        return Build(profile.version, profile.build_id, start, self.xen.memory.root)

    def kernel(self, absent: list[Absence]) -> Kernel | None:
        """None: Xen is no Linux."""
        return None

    def switches(self, absent: list[Absence]) -> Switches:
        """`iommu_intremap`, `iommu_intpost`, `x2apic_enabled`, and the vectors of posting."""
        found: dict[str, Any] = {}
        for name, symbol in (*FLAGS.items(), *((name, name) for name in VECTORS)):
            found[name] = _attempt(symbol, lambda symbol=symbol: self.xen.variable(symbol, 1), name, absent)  # type: ignore[misc]
        flags = {name: None if (value := found[name]) is None else bool(value) for name in FLAGS}
        return Switches(**flags, **{name: found[name] for name in VECTORS})

    def machine(self, absent: list[Absence]) -> Machine:
        """CPUs, domains, vCPUs and the lists of blocked ones."""
        from inspector.xen import domains, percpu

        xen = self.xen
        found: tuple[list[Domain], list[Vcpu], list[Absence]]
        found = _attempt("domains", lambda: domains.domains(xen), "domains", absent) or ([], [], [])
        all_domains, vcpus, trouble = found
        absent += trouble
        cpus = _attempt("CPUs", lambda: percpu.cpus(xen, vcpus, absent), "cpus", absent) or []
        lists = _attempt("blocking lists", lambda: percpu.lists(xen, cpus, vcpus), "lists", absent) or []
        return Machine(tuple(cpus), tuple(lists), tuple(all_domains), tuple(_joined(vcpus, cpus, lists)))

    def units(self) -> tuple[list[HostUnit], list[Absence]]:
        """`acpi_drhd_units`."""
        from inspector.xen.iommu import iommus

        return iommus(self.xen)

    def msis(self) -> list[Msi]:
        """`struct msi_desc` of each irq that has one."""
        from inspector.xen.interrupts import msis

        return [_physical(self.xen, msi) for msi in msis(self.xen)]

    def irqs(self, domains: Sequence[Domain], absent: list[Absence]) -> list[Irq]:
        """`irq_desc[]`, with the domains that they are bound to."""
        from inspector.xen.irqs import irqs

        addresses = {domain.domain: domain.address for domain in domains}
        found, trouble = irqs(self.xen, addresses)
        # Of the trees of hardware-virtualised domains it is told where their bindings are read.
        virtualised = {domain.domain for domain in domains if domain.hvm}
        absent += [
            unreadable(f"d{domain}'s pirqs", error, "irqs") for domain, error in trouble if domain not in virtualised
        ]
        return found

    def pins(self) -> list[Pin]:
        """`apic_pin_2_ir_idx`."""
        from inspector.xen.interrupts import ioapic_pins

        return ioapic_pins(self.xen)

    def x2apic(self) -> int | None:
        """`x2apic_enabled`; None where it cannot be read."""
        try:
            return self.xen.variable("x2apic_enabled", 1)
        except UNREADABLE:
            return None

    def acpi_roots(self) -> list[int]:
        """What UEFI told Xen, the newer revision's first; empty under a BIOS."""
        try:
            efi = self.xen.profile.symbol("efi")
            words = self.xen.array_at(efi + EFI_ACPI, 8, 2)
        except UNREADABLE:
            return []
        return [address for address in reversed(words) if address not in NO_ROOT]

    def acpi_areas(self) -> list[Range]:
        """What the firmware's map says to hold ACPI tables (`e820_raw`); empty if that cannot be read."""
        try:
            table = self.xen.profile.symbol("e820_raw")
            count = self.xen.array_at(table, 4, 1)[0]
            if count > E820_LIMIT:
                return []
            entries = np.frombuffer(self.xen.memory.read(table + 4, count * E820.itemsize), E820)
        except UNREADABLE:
            return []
        chosen = entries[np.isin(entries["type"], ACPI_TYPES) & (entries["size"] <= AREA_LIMIT)]
        return [Range(int(entry["address"]), int(entry["address"] + entry["size"])) for entry in chosen]


def _attempt(what: str, read: Callable[[], T], member: str, absent: list[Absence]) -> T | None:
    try:
        return read()
    except UNREADABLE as error:
        absent.append(unreadable(what, error, member))
        return None


def _joined(vcpus: list[Vcpu], cpus: list[Cpu], lists: list[BlockingList]) -> list[Vcpu]:
    """The vCPUs with the list that each is on, and what its CPU knows of it: guest mode, RFLAGS.IF."""
    listed: dict[str | None, int] = {}
    for of_cpu in lists:
        for node in of_cpu.nodes:
            listed.setdefault(node.vcpu, of_cpu.cpu)
    in_guest = {cpu.current: cpu.in_guest for cpu in cpus}
    # Of a vCPU whose state a CPU still holds, what struct vcpu says is old: __context_switch saves it.
    held = {cpu.loaded: cpu.interruptible for cpu in cpus}
    return [
        replace(
            vcpu,
            blocking_list=listed.get(vcpu.name),
            in_guest=in_guest.get(vcpu.name) if vcpu.is_running else False,
            interruptible=held.get(vcpu.name, vcpu.interruptible),
        )
        for vcpu in vcpus
    ]


def _physical(xen: Xen, msi: Msi) -> Msi:
    """The MSI with the physical address of its descriptor; all ones if its pointer leads nowhere."""
    if not msi.pi_desc:
        return msi
    try:
        return replace(msi, pi_desc=xen.memory.translate(msi.pi_desc))
    except UNREADABLE:
        return replace(msi, pi_desc=(1 << 64) - 1)
