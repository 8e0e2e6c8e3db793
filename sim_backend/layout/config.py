"""What machine is to be laid out, and by which build's profile: one that comes with vtdpi, or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain
from typing import Annotated

from msgspec import Meta

from sim_backend.memory.errors import SimError
from structs.frozen import frozen
from structs.xen import named as profiles
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

NR_CPUS = 256
RAM = 0xFE00_0000
"""Memory ends below the registers of the VT-d units."""
HIGH = 1 << 30
IRQS, VCPUS = 1 << 17, 8192
DOMID_FIRST_RESERVED = 0x7FF0
LONGEST = 4096
"""Characters of a text: a profile may be named by its path."""

Number = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""As a file may hold one; what makes a machine is told by `LayoutConfig`."""
Text = Annotated[str, Meta(max_length=LONGEST)]

DEFAULT_PROFILE = "4.20"
PROFILE_PLACES: list[Callable[[], Iterator[Profile]]] = [profiles.bundled]
"""Where profiles are looked for. Who runs the machine may add a place, such as the user's cache."""


@frozen
class DomainConfig:
    """A domain: its number, how many vCPUs, and whether they are virtualised by hardware (else paravirtualised)."""

    id: int
    vcpus: int
    hvm: bool = True


@frozen
class DeviceConfig:
    """A PCI device: bus << 8 | devfn, how many MSI-X vectors, and the domain that owns it."""

    bdf: int
    vectors: int = 1
    domain: int = 0


@frozen
class LayoutConfig:
    """A machine and the Xen on it.

    Attributes:
        profile: which build: the start of a bundled profile's version (the newest) or build-id, or a profile's file.
        cpus: physical CPUs, all of them online.
        apic_ids: theirs; by default as the CPUs are numbered.
        x2apic: whether Xen uses x2APIC mode; the units then have EIME=1.
        intpost: `iommu_intpost`, and CAP.PI of each unit.
        units: VT-d units; the last one serves all devices that no other one names.
        irqs: how many irqs there are beyond the IO-APICs' pins: one for each MSI.
        ram: bytes of memory, a multiple of 2 MiB; by default as much as the rest needs, and 2 MiB.
        high: bytes of memory from 4 GiB up besides, a multiple of 2 MiB: there are the vCPUs of HVM domains then.
        posted_intr_vector, pi_wakeup_vector: as Xen allocates them at boot, from 0xf1 up.
        cpus_post: whether the CPUs process posted interrupts; else no vector is allocated, and both are 0.
        low_vcpus: they are below 4 GiB all the same (`alloc_vcpu_struct` up to 4.11).
        ndst_at_creation: a new vCPU's NDST names the CPU where it was created (4.7, 4.8), else it is all ones (4.9 on).

    Raises:
        SimError: these do not make a machine.
    """

    profile: Text = DEFAULT_PROFILE
    cpus: Number = 2
    apic_ids: tuple[Number, ...] = ()
    x2apic: bool = False
    intpost: bool = True
    domains: tuple[DomainConfig, ...] = (DomainConfig(0, 1, hvm=False), DomainConfig(1, 2))
    devices: tuple[DeviceConfig, ...] = ()
    units: Number = 1
    ioapics: Number = 1
    irqs: Number = 232
    ram: Number | None = None
    high: Number = 0
    posted_intr_vector: Number = 0xF2
    pi_wakeup_vector: Number = 0xF3
    cpus_post: bool = True
    low_vcpus: bool = False
    ndst_at_creation: bool = False

    @cached_property
    def apics(self) -> tuple[int, ...]:
        """By CPU, its APIC ID."""
        # No more of them than there are, however many are asked for.
        return self.apic_ids or tuple(range(min(self.cpus, NR_CPUS)))

    def __post_init__(self) -> None:
        limit = (1 << 32) - 1 if self.x2apic else 255
        problems = {
            f"{self.cpus} CPUs: Xen takes 1 to {NR_CPUS}": not 1 <= self.cpus <= NR_CPUS,
            f"{len(self.apics)} APIC IDs for {self.cpus} CPUs": len(self.apics) != self.cpus,
            "an APIC ID stands twice": len(set(self.apics)) != len(self.apics),
            f"an APIC ID is not below {limit:#x}": any(not 0 <= apic < limit for apic in self.apics),
            f"{self.units} VT-d units: there must be 1 to 8": not 1 <= self.units <= 8,
            f"{self.ioapics} IO-APICs: there must be 1 to 8": not 1 <= self.ioapics <= 8,
            "a domain stands twice": len({domain.id for domain in self.domains}) != len(self.domains),
            "a device stands twice": len({device.bdf for device in self.devices}) != len(self.devices),
            f"{self.ram or 0:#x} bytes of memory: {RAM:#x} at most": (self.ram or 0) > RAM,
            f"{self.high:#x} bytes of memory above 4 GiB: multiples of 2 MiB, {HIGH:#x} at most": self.high % (2 << 20)
            or not 0 <= self.high <= HIGH,
            f"{self.irqs} irqs: {IRQS} at most": self.irqs > IRQS,
            f"more than {VCPUS} vCPUs": sum(domain.vcpus for domain in self.domains) > VCPUS,
            f"a domain's number is not below {DOMID_FIRST_RESERVED:#x}": any(
                not 0 <= domain.id < DOMID_FIRST_RESERVED for domain in self.domains
            ),
            "a vector is not 0x10 to 0xff": not all(
                0x10 <= vector <= 0xFF or (not vector and not self.cpus_post)
                for vector in (self.posted_intr_vector, self.pi_wakeup_vector)
            ),
            f"{self.irqs} irqs do not suffice for the devices' vectors": self.irqs
            < sum(d.vectors for d in self.devices),
            "a device's domain is not there": not {d.domain for d in self.devices}
            <= {d.id for d in self.domains} | {0},
        }
        for problem, holds in problems.items():
            if holds:
                raise SimError(f"this machine cannot be laid out: {problem}")


def profile_named(name: str = DEFAULT_PROFILE) -> Profile:
    """The newest profile of that name, or that of a file (see `structs.xen.named`).

    Raises:
        SimError: there is none.
    """
    if profiles.is_file_name(name):
        try:
            return profiles.of_file(name)
        except ProfileError as error:
            raise SimError(str(error)) from None
    # The bundled ones come first: they are enough for most names, and no other place is then read.
    for place in PROFILE_PLACES:
        if found := profiles.matching(name, place()):
            return found[0]
    versions = ", ".join(sorted({profile.version for profile in chain(*(place() for place in PROFILE_PLACES))}))
    raise SimError(f"no bundled profile is called {name!r}; there are {versions}; a file's name ends in .json")
