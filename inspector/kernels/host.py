"""What stands between a kernel that owns a machine's interrupts and all that is above: a hypervisor or Linux.

`inspector.xen` and `inspector.linux` each have one; `inspector.capture` reads a snapshot through it and knows no more
of either. What a kernel has not is left empty; what could not be read is told in `absent`, or raised as VtdpiError or
ProfileError where nothing of it can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inspector.model.absence import Absence
from inspector.model.interrupts import Irq, Msi, Pin
from inspector.model.snapshot import BlockingList, Cpu, Domain, Kernel, Vcpu
from inspector.model.vtd import Platform
from inspector.targets.ranges import Range
from structs.frozen import frozen

WHOLE_TABLE = 1 << 16
"""Entries of an interrupt-remapping table as Xen and Linux both allocate it (IRTA.S = 15)."""


@frozen
class HostUnit:
    """A VT-d unit as its owner keeps it: what serves where a target has no registers.

    `cap` and `ecap` are what was read at boot, `queue_size` is in bytes; `table` and `queue` are physical, 0 if none is
    set up. `origin` is the structure that tells all this; `eime` None where another variable tells.
    """

    index: int
    register_base: int
    segment: int
    cap: int
    ecap: int
    table: int
    in_use: int | None
    queue: int
    queue_size: int
    platform: tuple[Platform, ...] = ()
    entries: int = WHOLE_TABLE
    eime: int | None = None
    origin: str = "Xen's struct vtd_iommu"


@frozen
class Build:
    """Which Xen it is, as a snapshot has it; nothing of it for another kernel."""

    version: str | None = None
    build_id: str | None = None
    phys_start: int | None = None
    page_table: int | None = None


@frozen
class Switches:
    """Which features are on, and the vectors of posting, as a snapshot has them."""

    intremap: bool | None = None
    intpost: bool | None = None
    x2apic: bool | None = None
    posted_intr_vector: int | None = None
    pi_wakeup_vector: int | None = None


@frozen
class Machine:
    """CPUs, what runs on them, and the lists of what waits."""

    cpus: tuple[Cpu, ...] = ()
    lists: tuple[BlockingList, ...] = ()
    domains: tuple[Domain, ...] = ()
    vcpus: tuple[Vcpu, ...] = ()


class Host(Protocol):
    """A kernel that owns a machine's interrupts, found in a target's memory."""

    @property
    def name(self) -> str:
        """What it is called in sentences: `Xen`, `Linux`."""

    @property
    def origin(self) -> str:
        """What its own list of VT-d units is called, where that is told."""

    def build(self, absent: list[Absence]) -> Build:
        """Which Xen it is."""

    def kernel(self, absent: list[Absence]) -> Kernel | None:
        """Which Linux it is; None if it is none."""

    def switches(self, absent: list[Absence]) -> Switches:
        """Its features and vectors."""

    def machine(self, absent: list[Absence]) -> Machine:
        """CPUs, vCPUs and lists."""

    def units(self) -> tuple[list[HostUnit], list[Absence]]:
        """Its VT-d units in its own order, and what is wrong with the list of them."""

    def msis(self) -> list[Msi]:
        """The MSIs that it has given a remapping entry, `pi_desc` physical."""

    def irqs(self, domains: Sequence[Domain], absent: list[Absence]) -> list[Irq]:
        """Every irq that it has set up."""

    def pins(self) -> list[Pin]:
        """The IO-APICs' pins that have a remapping entry."""

    def x2apic(self) -> int | None:
        """Whether it uses x2APIC, which is the mode of its remapping tables; None if that is not known."""

    def acpi_roots(self) -> list[int]:
        """Where it knows ACPI root pointers to be, physical; empty if it does not."""

    def acpi_areas(self) -> list[Range]:
        """The memory that it knows to hold ACPI tables."""
