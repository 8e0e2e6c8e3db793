"""Linux as what owns a machine's interrupts: what of it stands in a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from inspector.base.errors import UNREADABLE
from inspector.kernels.host import Build, HostUnit, Machine, Switches
from inspector.linux import cpus, interrupts, irq_chain, kvm, pirqs, units
from inspector.linux.interrupts import Entry
from inspector.linux.irq_chain import LinuxIrq
from inspector.linux.linux import Linux
from inspector.linux.units import Unit
from inspector.model.absence import Absence, unreadable
from inspector.model.interrupts import Irq, Msi, Pin
from inspector.model.snapshot import Domain, Kernel, Pirq
from inspector.targets.ranges import Range

VERSION_BYTES = 512
POSTED_INTR_VECTOR, POSTED_INTR_WAKEUP_VECTOR = 0xF2, 0xF1
"""Constants of the kernel (asm/irq_vectors.h), the wakeup vector since 4.4."""
WAKEUP_HANDLERS = ("sysvec_kvm_posted_intr_wakeup_ipi", "smp_kvm_posted_intr_wakeup_ipi")
"""The handler of the wakeup vector, in a kernel for which KVM was built (5.8 on, and before)."""


class LinuxHost:
    """The `inspector.kernels.host.Host` of a Linux; above a Xen only its `kernel` means anything."""

    name = "Linux"
    origin = units.LIST

    def __init__(self, linux: Linux, above_xen: bool = False) -> None:
        self.linux = linux
        self._above_xen = above_xen

    def build(self, absent: list[Absence]) -> Build:
        """Nothing: it is no Xen."""
        return Build()

    def kernel(self, absent: list[Absence]) -> Kernel:
        """Its release, where it lies, how much of it is known."""
        linux = self.linux
        return Kernel(
            release=linux.release,
            version=self._version(),
            text=linux.image.text,
            phys_start=None if self._above_xen else self._phys_start(absent),
            page_table=linux.memory.root,
            found_by=linux.found_by,
            symbols=len(linux.kallsyms),
            types=linux.btf.end - 1,
            build_id=linux.build_id,
            pirqs=tuple(self._pirqs(absent)) if self._above_xen else (),
        )

    def switches(self, absent: list[Absence]) -> Switches:
        """`irq_remapping_enabled`, whether posting is in use, the APICs' mode, and the vectors of KVM."""
        x2apic = self._flag("x2apic_mode")
        if x2apic is None and (eim := self.x2apic()) is not None:
            x2apic = bool(eim)
        handles = any(self.linux.profile.has_symbol(name) for name in WAKEUP_HANDLERS)
        return Switches(
            intremap=self._flag("irq_remapping_enabled"),
            intpost=self._posting(),
            x2apic=x2apic,
            posted_intr_vector=POSTED_INTR_VECTOR if handles else None,
            pi_wakeup_vector=POSTED_INTR_WAKEUP_VECTOR if handles else None,
        )

    def machine(self, absent: list[Absence]) -> Machine:
        """Its CPUs, and KVM's VMs, vCPUs and wakeup lists."""
        try:
            found = cpus.cpus(self.linux, absent)
        except UNREADABLE as error:
            absent.append(unreadable("CPUs", error, "cpus"))
            found = []
        return kvm.machine(self.linux, found, self._posting(), absent)

    def units(self) -> tuple[list[HostUnit], list[Absence]]:
        """`dmar_drhd_units`."""
        found, absent = self._units
        return [each.unit for each in found], absent

    def msis(self) -> list[Msi]:
        """The MSIs with a `struct intel_ir_data`."""
        return interrupts.msis(self.linux, self._irqs[0], self._entries[0], self._indices)

    def irqs(self, domains: Sequence[Domain], absent: list[Absence]) -> list[Irq]:
        """`struct irq_desc` of each irq that has a controller."""
        found, trouble = self._irqs
        absent += [*trouble, *self._entries[1]]
        return interrupts.model_irqs(self.linux, found)

    def pins(self) -> list[Pin]:
        """The IO-APICs' pins with a `struct intel_ir_data`."""
        return interrupts.pins(self.linux, self._irqs[0], self._entries[0], self._indices)

    def x2apic(self) -> int | None:
        """`eim_mode`."""
        return units.eim(self.linux)

    def acpi_roots(self) -> list[int]:
        """None that Linux is asked for: the root pointer is looked for."""
        return []

    def acpi_areas(self) -> list[Range]:
        """None that Linux is asked for."""
        return []

    @cached_property
    def _irqs(self) -> tuple[list[LinuxIrq], list[Absence]]:
        absent: list[Absence] = []
        return irq_chain.irqs(self.linux, absent), absent

    @cached_property
    def _entries(self) -> tuple[dict[int, Entry], list[Absence]]:
        absent: list[Absence] = []
        return interrupts.entries(self.linux, self._irqs[0], absent), absent

    @cached_property
    def _units(self) -> tuple[list[Unit], list[Absence]]:
        return units.units(self.linux)

    @property
    def _indices(self) -> dict[int, int]:
        """The index of each unit by its `struct intel_iommu`; empty where the units are not known."""
        try:
            return {each.iommu: each.unit.index for each in self._units[0]}
        except UNREADABLE:
            return {}

    def _pirqs(self, absent: list[Absence]) -> list[Pirq]:
        try:
            found, trouble = self._irqs
        except UNREADABLE as error:
            absent.append(unreadable("domain 0's irqs", error, "kernel"))
            return []
        absent += trouble
        return pirqs.pirqs(self.linux, found)

    def _version(self) -> str:
        """What follows the compiler in the banner: `#1 SMP PREEMPT_DYNAMIC Debian ...`; empty if it cannot be read."""
        try:
            (raw,) = self.linux.memory.read_parts([(self.linux.profile.symbol("linux_banner"), VERSION_BYTES)])
        except UNREADABLE:
            return ""
        text = (raw or b"").split(b"\0")[0].decode("ascii", "replace").strip()
        return text[text.rindex("#") :] if "#" in text and text.isprintable() else ""

    def _phys_start(self, absent: list[Absence]) -> int | None:
        try:
            return self.linux.memory.translate(self.linux.image.text)
        except UNREADABLE as error:
            absent.append(unreadable("Linux's image", error, "kernel"))
            return None

    def _flag(self, name: str) -> bool | None:
        try:
            return bool(self.linux.variable(name, 4))
        except UNREADABLE:
            return None

    def _posting(self) -> bool | None:
        """Whether units may post: Linux wants it (not `nopost`), and each can (set_irq_posting_cap)."""
        try:
            wanted = not self.linux.variable("disable_irq_post", 4)
            found = self._units[0]
        except UNREADABLE:
            return None
        return wanted and bool(found) and all(each.unit.cap >> 59 & 1 for each in found)
