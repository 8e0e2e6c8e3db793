"""A whole machine, laid out in memory as one real build of Xen lays it out.

>>> layout = Layout(LayoutConfig(domains=(DomainConfig(1, 2),)))
>>> layout.get("vcpu", layout.vcpu(1, 1), "vcpu_id"), layout.get("domain", layout.domain(1), "max_vcpus")
(1, 2)
>>> msi, = layout.add_device(0x0018, 1)
>>> msi.index, hex(layout.memory.u64(layout.register(0, "IRTA")) & 0xfff)
(24, '0xf')
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from sim_backend.layout import cpus, devices, domains, firmware, image, interrupts, pirqs, vtd
from sim_backend.layout.builder import MIB, LayoutBuilder
from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig, profile_named
from sim_backend.layout.cpus import Cpus
from sim_backend.layout.devices import Device, Msi
from sim_backend.layout.domains import Domain, find_vcpu, new_descriptors
from sim_backend.layout.hardware import Hardware
from sim_backend.layout.interrupts import Interrupts, irq_count
from sim_backend.layout.vtd import VtdUnit
from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import GIB_4, PAGE, Memory
from sim_backend.memory.naming import device_name
from structs.xen.profile import Profile

if TYPE_CHECKING:
    from sim_backend.layout.saved import SavedLayout

ALIGNMENT = 2 * MIB
SPARE = 2 * MIB

__all__ = ["DeviceConfig", "DomainConfig", "Layout", "LayoutConfig", "Msi"]


class Layout(LayoutBuilder, Hardware):
    """The machine that `config` describes. All addresses are physical unless a name says virtual.

    Args:
        config: the machine.
        profile: the build, instead of the bundled one that `config` names.

    Raises:
        SimError: the build's profile lacks what is needed, or the machine does not fit its memory.
    """

    def __init__(self, config: LayoutConfig | None = None, profile: Profile | None = None) -> None:
        self.config = config = config or LayoutConfig()
        profile = profile or profile_named(config.profile)
        super().__init__(profile, config.ram or _needed(profile, config), config.high)
        if config.high and not config.low_vcpus:
            self.vcpu_heap = Heap(GIB_4, GIB_4 + config.high)
        self._cpus = Cpus()
        self.interrupts = Interrupts(config.units)
        self.domains: dict[int, Domain] = {}
        self._numbers: list[int] = []
        self.devices: dict[int, Device] = {}
        self._descriptors = new_descriptors(
            config.posted_intr_vector, config.apics, config.x2apic, config.ndst_at_creation
        )
        image.lay_out(self, config)
        cpus.lay_out(self, self._cpus, config)
        self.idle = domains.lay_out_idle(self, self._cpus, config.cpus, self._descriptors)
        self.units: list[VtdUnit] = vtd.lay_out(self, config)
        firmware.lay_out(self, self.units, config.ioapics)
        interrupts.lay_out(self, self.interrupts, self.units, config)
        for domain in config.domains:
            self.create_domain(domain.id, domain.vcpus, domain.hvm)
        for device in config.devices:
            self.add_device(device.bdf, device.vectors)
            self.give_device(device.bdf, device.domain if device.domain in self.domains else None)

    # Domains and vCPUs.

    def domain(self, domain_id: int) -> int:
        """A domain's `struct domain`."""
        try:
            return self.domains[domain_id].address
        except KeyError:
            raise SimError(f"there is no domain {domain_id}") from None

    def vcpu(self, domain_id: int, vcpu_id: int) -> int:
        """A vCPU's `struct vcpu`, one page."""
        return find_vcpu(self.domains, domain_id, vcpu_id)

    def idle_vcpu(self, cpu: int) -> int:
        """The `struct vcpu` that a CPU runs when it has nothing else."""
        return self.idle.vcpus[cpu]

    def pi_desc(self, domain_id: int, vcpu_id: int) -> int:
        """A vCPU's posted-interrupt descriptor."""
        return self.vcpu(domain_id, vcpu_id) + self.member("vcpu", "arch.hvm.vmx.pi_desc")

    def vlapic(self, domain_id: int, vcpu_id: int) -> int:
        """A vCPU's virtual APIC page: ISR at 0x100, IRR at 0x200."""
        return self.physical(self.get("vcpu", self.vcpu(domain_id, vcpu_id), "arch.hvm.vlapic.regs"))

    def create_domain(self, domain_id: int, vcpus: int, hvm: bool = True) -> int:
        """A new domain in `domain_list`; its vCPUs are runnable, spread over the online CPUs. Returns its address."""
        if domain_id in self.domains or not 0 <= domain_id < domains.DOMID_IDLE:
            raise SimError(f"domain {domain_id} cannot be created: it is there already, or the number is reserved")
        online = [cpu for cpu in range(self.config.cpus) if self.is_online(cpu)]
        domain = domains.create(self, domain_id, vcpus, hvm, online, self._descriptors, irq_count(self.config))
        domains.link(self, domain.address, self._before(domain_id))
        insort(self._numbers, domain_id)
        self.domains[domain_id] = domain
        return domain.address

    def _before(self, domain_id: int) -> int | None:
        """The `struct domain` that comes before a domain's in `domain_list`, None if it is the first."""
        place = bisect_left(self._numbers, domain_id)
        return self.domains[self._numbers[place - 1]].address if place else None

    def destroy_domain(self, domain_id: int) -> None:
        """Unlink a domain and free its pages; their bytes stay until they are used again. Its devices have no owner."""
        address = self.domain(domain_id)
        for device in self.devices.values():
            if self.get("pci_dev", device.address, "domain") == self.virtual(address):
                devices.give_device(self, device, None)
        domains.unlink(self, address, self._before(domain_id))
        self._numbers.remove(domain_id)
        domains.release(self, self.domains.pop(domain_id), irq_count(self.config))

    # Physical CPUs.

    def percpu(self, cpu: int, name: str) -> int:
        """A per-CPU variable, named without `per_cpu__`. Raises SimError if the CPU has no area."""
        return cpus.percpu(self, self._cpus, cpu, name)

    def cpu_info(self, cpu: int) -> int:
        """The `struct cpu_info` at the top of a CPU's stack."""
        return cpus.cpu_info(self, self._cpus, cpu)

    def irq_stat(self, cpu: int) -> int:
        """The 4 bytes `irq_stat[cpu].__softirq_pending`."""
        return cpus.softirq_pending(self, cpu)

    def is_online(self, cpu: int) -> bool:
        """Whether a CPU's bit in `cpu_online_map` is set."""
        return cpus.is_online(self, cpu)

    def online(self, cpu: int) -> None:
        """Bring a CPU up: an area if it has none, an empty blocking list, idle on it."""
        cpus.bring_up(self, self._cpus, cpu)
        domains.set_idle(self, self._cpus, cpu, self.idle_vcpu(cpu))

    def offline(self, cpu: int) -> None:
        """Clear a CPU's bit in `cpu_online_map`; its area stays."""
        cpus.set_online(self, cpu, False)

    def free_percpu(self, cpu: int) -> None:
        """Free a dead CPU's area: its offset becomes invalid, the bytes stay until they are used again."""
        cpus.release_area(self, self._cpus, cpu)

    # VT-d units, IO-APICs, devices.

    def add_device(self, bdf: int, vectors: int, unit: int | None = None) -> tuple[Msi, ...]:
        """A new device, owned by nobody, its vectors remapped to CPU 0. `bdf` is bus << 8 | devfn."""
        number = self.unit_of(bdf) if unit is None else unit
        if bdf in self.devices:
            raise SimError(f"there already is a device {device_name(bdf)}")
        unit_of_device = self.units[number]
        device = devices.add_device(self, self.interrupts, unit_of_device, number, self.config, bdf, vectors)
        self.devices[bdf] = device
        return device.msis

    def remove_device(self, bdf: int) -> None:
        """Take a device away, and free its entries and irqs."""
        devices.remove_device(self, self.interrupts, self.units, self.device(bdf))
        del self.devices[bdf]

    def give_device(self, bdf: int, domain_id: int | None) -> None:
        """Make a domain the owner of a device and its interrupts, or nobody.

        Written are `pci_dev.domain`, `domain.pdev_list` and `domain.pirq_tree`.
        """
        device = self.device(bdf)
        owner = None if domain_id is None else self.domain(domain_id)
        before = self.get("pci_dev", device.address, "domain")
        devices.give_device(self, device, owner)
        if before:
            left = self.domains.get(self.get("domain", self.physical(before), "domain_id"))
            if left is not None:
                for msi in device.msis:
                    pirqs.delete(self, left.pirqs, msi.irq)
        if domain_id is not None:
            for msi in device.msis:
                pirqs.insert(self, self.domains[domain_id].pirqs, msi.irq, msi.pirq)

    def post_msi(self, msi: Msi, domain_id: int, vcpu_id: int, vector: int) -> None:
        """Make an MSI a posted one for a vCPU's vector, at once: entry, `struct msi_desc` and `struct pirq`."""
        devices.post(self, self.units[msi.unit], msi, self.pi_desc(domain_id, vcpu_id), vector)
        pirqs.bind(self, msi.pirq, vector, vcpu_id, True)

    # The whole.

    def copy(self) -> Self:
        """A machine of the same state that goes its own way."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.memory = self.memory.copy()
        other.heap = self.heap.copy()
        other.vcpu_heap = other.heap if self.vcpu_heap is self.heap else self.vcpu_heap.copy()
        other._cpus = self._cpus.copy()
        other.interrupts = self.interrupts.copy()
        other.domains = self.domains.copy()
        other._numbers = self._numbers.copy()
        other.devices = self.devices.copy()
        return other

    def state(self) -> dict[str, Any]:
        """What memory alone does not tell, as plain data for JSON: with the memory, all that `restored` needs."""
        heaps = {"heap": asdict(self.heap.state())}
        if self.vcpu_heap is not self.heap:
            heaps["vcpu_heap"] = asdict(self.vcpu_heap.state())
        return {
            **heaps,
            "cpus": {name: list(map(list, table.items())) for name, table in vars(self._cpus).items()},
            "idle": list(self.idle.vcpus),
            "idle_domain": self.idle.address,
            "domains": [[number, d.address, list(d.vcpus), d.hvm, d.pirqs] for number, d in self.domains.items()],
            "units": [asdict(unit) for unit in self.units],
            "free_irqs": self.interrupts.free_irqs,
            "first_free": self.interrupts.first_free,
            "devices": [[bdf, d.address, [asdict(m) for m in d.msis]] for bdf, d in self.devices.items()],
        }

    @classmethod
    def restored(cls, profile: Profile, config: LayoutConfig, state: Mapping[str, Any], memory: Memory) -> Layout:
        """The layout whose `state()` and memory these are.

        Raises:
            SimError: they are not.
        """
        from msgspec import MsgspecError, convert

        from sim_backend.layout.saved import SavedLayout

        try:
            saved = convert(state, SavedLayout)
        except (MsgspecError, ValueError) as error:
            raise SimError(f"this is no saved layout: {error}") from None
        layout = cls.__new__(cls)
        LayoutBuilder.__init__(layout, profile, memory.size, memory.high)
        layout.memory = memory
        layout.config = config
        layout._descriptors = new_descriptors(
            config.posted_intr_vector, config.apics, config.x2apic, config.ndst_at_creation
        )
        layout._restore(saved)
        return layout

    def _restore(self, saved: SavedLayout) -> None:
        self.heap = Heap.restored(saved.heap)
        self.vcpu_heap = Heap.restored(saved.vcpu_heap) if saved.vcpu_heap else self.heap
        self._cpus = Cpus()
        self._cpus.areas, self._cpus.stacks = dict(saved.cpus.areas), dict(saved.cpus.stacks)
        self.idle = Domain(saved.idle_domain, saved.idle, False)
        self.domains = {
            number: Domain(address, vcpus, hvm, tree) for number, address, vcpus, hvm, tree in saved.domains
        }
        self._numbers = sorted(self.domains)
        self.units = saved.units
        self.interrupts = Interrupts(0)
        self.interrupts.free_irqs, self.interrupts.first_free = saved.free_irqs, saved.first_free
        self.devices = {bdf: Device(address, msis) for bdf, address, msis in saved.devices}


def _needed(profile: Profile, config: LayoutConfig) -> int:
    """Bytes of memory for a machine and some to spare, a multiple of 2 MiB."""
    image_end = 2 * MIB + -(-(profile.symbol("_end") & (1 << 30) - 1) // ALIGNMENT) * ALIGNMENT
    irqs = irq_count(config)
    vcpus = sum(domain.vcpus for domain in config.domains)
    heap = (
        config.units * (vtd.ENTRIES * vtd.ENTRY_SIZE + 8 * PAGE)
        + config.cpus * 24 * PAGE
        + vcpus * 4 * PAGE
        + len(config.domains) * (4 * PAGE + pirqs.tree_size(irqs))
        + irqs * (profile.size("irq_desc") + 2 * profile.size("msi_desc") + 2 * profile.size("pirq"))
        + len(config.devices) * 512
    )
    return image_end + -(-heap // ALIGNMENT) * ALIGNMENT + SPARE
