"""A machine with a Linux and KVM, laid out in memory by the types of one real build.

A VM is a domain of the configuration, and its number the process that made it (`kvm.userspace_pid`); domain 0 is the
host, and no VM. Notification and wakeup vector are constants of the kernel: what the configuration says of them is not
asked.

>>> layout = KvmLayout(LayoutConfig(profile="6.12", domains=(DomainConfig(1234, 2),)))
>>> layout.get("vcpu_vmx", layout.vcpu(1234, 1), "vcpu.vcpu_id"), layout.get("kvm", layout.vm(1234), "userspace_pid")
(1, 1234)
>>> hex(layout.get("vcpu_vmx", layout.vcpu(1234, 1), "pi_desc.nv"))
'0xf2'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sim_backend.layout import vtd
from sim_backend.layout.config import DeviceConfig, DomainConfig, LayoutConfig
from sim_backend.layout.devices import Device, Msi
from sim_backend.layout.hardware import Hardware
from sim_backend.layout.interrupts import DEVICE_STATE, IOAPIC_PINS, IOAPIC_STATE
from sim_backend.layout.kvm import cpus, image, irqs, modules, units, vms
from sim_backend.layout.kvm.builder import MIB, LinuxBuilder
from sim_backend.layout.kvm.irqs import Irqs
from sim_backend.layout.kvm.vms import TASK_RUNNING, Vm
from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import PAGE, Memory
from sim_backend.memory.naming import device_name
from structs.frozen import frozen
from structs.linux.named import of_release
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

__all__ = ["DeviceConfig", "DomainConfig", "KvmLayout", "LayoutConfig", "Msi"]

DEFAULT_PROFILE = "6.12"
LIST_POISON1, LIST_POISON2 = 0xDEAD_0000_0000_0100, 0xDEAD_0000_0000_0122
"""Where a node's pointers lead once `list_del` has taken it off (include/linux/poison.h)."""
ALIGNMENT = 2 * MIB
MASKED_PIN = 1 << 16
FEATURES_ON = ("enable_apicv",)
HOST = 0


@frozen
class SavedKvmLayout:
    """What memory alone does not tell; the members are those of `KvmLayout`."""

    heap: dict[str, Any]
    areas: list[int]
    idle: list[int]
    places: list[tuple[int, int]]
    module_next: int
    domains: list[tuple[int, Vm]]
    units: list[vtd.VtdUnit]
    devices: list[tuple[int, Device]]
    chips: dict[str, int]
    descs: list[tuple[int, int]]
    first_free: list[int]
    symbols: dict[str, int]


class KvmLayout(LinuxBuilder, Hardware):
    """The machine that `config` describes. All addresses are physical unless a name says virtual.

    Args:
        config: the machine; its profile is a bundled Linux's, or a file.
        profile: the build, instead of the one that `config` names.

    Raises:
        SimError: the build's profile lacks what is needed, or the machine does not fit its memory.
    """

    def __init__(self, config: LayoutConfig | None = None, profile: Profile | None = None) -> None:
        self.config = config = config or LayoutConfig(profile=DEFAULT_PROFILE, domains=(DomainConfig(1, 2),))
        profile = profile or linux_profile(config.profile)
        super().__init__(profile, config.ram or _needed(config))
        self.domains: dict[int, Vm] = {}
        self.devices: dict[int, Device] = {}
        self.interrupts = Irqs()
        self.interrupts.first_free = [irqs.FIRST_INDEX] * config.units
        btf = image.lay_out(self, config)
        self._areas = cpus.lay_out(self, config)
        self.profile = modules.lay_out(self, btf)
        self.idle = [self._idle_task(cpu) for cpu in range(config.cpus)]
        for name in FEATURES_ON:
            self.memory.set_u8(self.symbol(name), 1)
        self.list_init(self.symbol("vm_list"))
        self.units = units.lay_out(self, config)
        self._device_state()
        for domain in config.domains:
            if domain.id != HOST:
                self.create_domain(domain.id, domain.vcpus)
        for device in config.devices:
            self.add_device(device.bdf, device.vectors)
            self.give_device(device.bdf, device.domain or None)

    # VMs and vCPUs.

    def create_domain(self, pid: int, vcpus: int) -> int:
        """A new VM of a process, none of whose vCPUs was loaded yet; its `struct kvm`."""
        if pid in self.domains or pid == HOST:
            raise SimError(f"process {pid} has a VM already, or can have none")
        self.domains[pid] = vms.create(self, self.symbol("vm_list"), pid, vcpus)
        return self.domains[pid].address

    def destroy_domain(self, pid: int) -> None:
        """Take a VM off `vm_list` and free its structures; their bytes stay until they are used again. Its devices are
        the host's again."""
        vm = self._vm(pid)
        for bdf, device in self.devices.items():
            if any(self.owner(msi) == vm.address for msi in device.msis):
                self.give_device(bdf, None)
        self.list_del(vm.address + self.member("kvm", "vm_list"))
        for size, places in (
            (self.size("vcpu_vmx"), vm.vcpus),
            (self.size("task_struct"), vm.tasks),
            (PAGE, vm.lapics),
            (self.size("kvm"), (vm.address,)),
        ):
            for place in places:
                self.heap.release(place, -(-size // PAGE) * PAGE)
        del self.domains[pid]

    def vm(self, pid: int) -> int:
        """A VM's `struct kvm`, by the process that made it."""
        return self._vm(pid).address

    def vcpu(self, pid: int, vcpu_id: int) -> int:
        """A vCPU's `struct vcpu_vmx`, at whose start its `struct kvm_vcpu` is."""
        return self._vm(pid).vcpus[self._known(pid, vcpu_id)]

    def pi_desc(self, pid: int, vcpu_id: int) -> int:
        """A vCPU's posted-interrupt descriptor."""
        return self.vcpu(pid, vcpu_id) + self.member("vcpu_vmx", "pi_desc")

    def vlapic(self, pid: int, vcpu_id: int) -> int:
        """A vCPU's virtual APIC page: ISR at 0x100, IRR at 0x200."""
        return self._vm(pid).lapics[self._known(pid, vcpu_id)]

    def task(self, vcpu: int) -> int:
        """The `struct task_struct` of the thread of the vCPU at this address."""
        for vm in self.domains.values():
            if vcpu in vm.vcpus:
                return vm.tasks[vm.vcpus.index(vcpu)]
        raise SimError(f"no vCPU is at {vcpu:#x}")

    def idle_task(self, cpu: int) -> int:
        """The `struct task_struct` that a CPU runs when it has nothing else."""
        return self.idle[cpu]

    # Physical CPUs.

    def percpu(self, cpu: int, name: str) -> int:
        """A CPU's instance of a per-CPU variable, of the kernel or of a module."""
        try:
            return self.area(cpu) + self.profile.symbol(name)
        except ProfileError as error:
            raise SimError(str(error)) from None

    def area(self, cpu: int) -> int:
        """A CPU's per-CPU area; the virtual address of it is what GS holds there."""
        if not 0 <= cpu < self.config.cpus:
            raise SimError(f"there is no CPU {cpu}")
        return self._areas[cpu]

    def is_online(self, cpu: int) -> bool:
        """Whether a CPU is online: all are."""
        return 0 <= cpu < self.config.cpus

    # The VT-d units, devices.

    def add_device(self, bdf: int, vectors: int) -> tuple[Msi, ...]:
        """A new device that vfio has, and no VM, its vectors remapped to CPU 0. `bdf` is bus << 8 | devfn.

        Of its MSIs, `msi_desc` is the physical address of the `struct intel_ir_data`, and `pirq` that of the
        `struct kvm_kernel_irqfd`, 0 without one.
        """
        if bdf in self.devices:
            raise SimError(f"there already is a device {device_name(bdf)}")
        number = self.unit_of(bdf)
        made = tuple(
            irqs.add_msi(self, self.interrupts, self.units[number], number, self.config, bdf, which)
            for which in range(vectors)
        )
        irqs.write_tree(self, self.interrupts.descs)
        self.devices[bdf] = Device(0, made)
        return made

    def give_device(self, bdf: int, pid: int | None) -> None:
        """Connect a device's interrupts to irqfds of a VM, or to none; what was posted is remapped again."""
        device = self.device(bdf)
        given = []
        for msi in device.msis:
            if msi.pirq:
                self.unpost_msi(msi)
                vms.remove_irqfd(self, msi.pirq)
            irqfd = 0 if pid is None else vms.add_irqfd(self, self.vm(pid), msi.irq)
            given.append(replace(msi, pirq=irqfd))
        self.devices[bdf] = replace(device, msis=tuple(given))

    def owner(self, msi: Msi) -> int | None:
        """The `struct kvm` that takes an MSI; None if none does."""
        return self.physical(self.get("kvm_kernel_irqfd", msi.pirq, "kvm")) if msi.pirq else None

    def post_msi(self, msi: Msi, pid: int, vcpu_id: int, vector: int) -> None:
        """Let an MSI be a vCPU's: what the guest has programmed, and the entry that posts to it, at once."""
        if msi.pirq:
            vms.set_message(self, msi.pirq, vcpu_id, vector)
        irqs.post(self, self.units[msi.unit], msi, self.pi_desc(pid, vcpu_id), vector)

    def unpost_msi(self, msi: Msi) -> None:
        """Bring the remapped entry of an MSI back."""
        irqs.unpost(self, self.units[msi.unit], msi)

    # The whole.

    def list_del(self, node: int) -> None:
        """Take a node off its list; its own pointers are poisoned then, as Linux does."""
        super().list_del(node)
        self.memory.set_u64(node + self.member("list_head", "next"), LIST_POISON1)
        self.memory.set_u64(node + self.member("list_head", "prev"), LIST_POISON2)

    def copy(self) -> KvmLayout:
        """A machine of the same state that goes its own way."""
        other = KvmLayout.__new__(KvmLayout)
        other.__dict__.update(self.__dict__)
        other.memory = self.memory.copy()
        other.heap = self.heap.copy()
        other._places, other._own = self._places.copy(), self._own.copy()
        other.domains, other.devices = self.domains.copy(), self.devices.copy()
        other.interrupts = self.interrupts.copy()
        return other

    def state(self) -> dict[str, Any]:
        """What memory alone does not tell, as plain data for JSON: with the memory, all that `restored` needs."""
        known = linux_profile(self.config.profile).document["symbols"]
        own = {name: symbol["address"] for name, symbol in self.profile.document["symbols"].items()}
        return {
            "heap": asdict(self.heap.state()),
            "areas": self._areas,
            "idle": self.idle,
            "places": [list(each) for each in self._places.items()],
            "module_next": self._module_next,
            "domains": [[pid, asdict(vm)] for pid, vm in self.domains.items()],
            "units": [asdict(unit) for unit in self.units],
            "devices": [[bdf, asdict(device)] for bdf, device in self.devices.items()],
            "chips": self.interrupts.chips,
            "descs": [list(each) for each in self.interrupts.descs.items()],
            "first_free": self.interrupts.first_free,
            "symbols": {name: address for name, address in own.items() if name not in known},
        }

    @classmethod
    def restored(cls, profile: Profile, config: LayoutConfig, state: Mapping[str, Any], memory: Memory) -> KvmLayout:
        """The layout whose `state()` and memory these are.

        Raises:
            SimError: they are not.
        """
        from msgspec import MsgspecError, convert

        try:
            saved = convert(state, SavedKvmLayout)
        except (MsgspecError, ValueError) as error:
            raise SimError(f"this is no saved layout: {error}") from None
        layout = cls.__new__(cls)
        LinuxBuilder.__init__(layout, profile, memory.size)
        layout.memory, layout.config = memory, config
        layout._restore(saved)
        return layout

    def _restore(self, saved: SavedKvmLayout) -> None:
        from msgspec import MsgspecError, convert

        from sim_backend.memory.heap import HeapState

        try:
            self.heap = Heap.restored(convert(saved.heap, HeapState))
        except MsgspecError as error:
            raise SimError(f"this is no saved layout: {error}") from None
        document = self.profile.document
        added = {name: {"address": address} for name, address in saved.symbols.items()}
        self.profile = Profile({**document, "symbols": {**document["symbols"], **added}})
        self._areas, self.idle = saved.areas, saved.idle
        self._places = dict(saved.places)
        self._own = {place: page for page, place in saved.places}
        self._module_next = saved.module_next
        self.domains, self.units, self.devices = dict(saved.domains), saved.units, dict(saved.devices)
        self.interrupts = Irqs()
        self.interrupts.chips, self.interrupts.descs = saved.chips, dict(saved.descs)
        self.interrupts.first_free = saved.first_free

    def _device_state(self) -> None:
        """What lies behind registers: local APICs, and IO-APICs whose pins are all masked."""
        self.memory.add(DEVICE_STATE, self.config.cpus * PAGE)
        self.memory.add(IOAPIC_STATE, self.config.ioapics * PAGE)
        for ioapic in range(self.config.ioapics):
            for pin in range(IOAPIC_PINS):
                self.memory.set_u64(self.rte(ioapic, pin), MASKED_PIN)

    def _idle_task(self, cpu: int) -> int:
        task = vms.new_task(self, 0, 0, f"swapper/{cpu}", TASK_RUNNING)
        self.put("task_struct", task, {"on_cpu": 1, "thread_info.cpu": cpu})
        self.list_init(self.percpu(cpu, "wakeup_vcpus_on_cpu"))
        self.put("pcpu_hot", self.percpu(cpu, "pcpu_hot"), {"current_task": self.virtual(task)})
        return task

    def _vm(self, pid: int) -> Vm:
        try:
            return self.domains[pid]
        except KeyError:
            raise SimError(f"there is no VM of process {pid}") from None

    def _known(self, pid: int, vcpu_id: int) -> int:
        if not 0 <= vcpu_id < len(self._vm(pid).vcpus):
            raise SimError(f"the VM of process {pid} has no vCPU {vcpu_id}")
        return vcpu_id


def linux_profile(name: str = DEFAULT_PROFILE) -> Profile:
    """The bundled profile of a Linux release, or that of a file. Raises SimError if there is none."""
    try:
        return of_release(name)
    except ProfileError as error:
        raise SimError(str(error)) from None


def _needed(config: LayoutConfig) -> int:
    """Bytes of memory for a machine and some to spare, a multiple of 2 MiB."""
    vcpus = sum(domain.vcpus for domain in config.domains)
    vectors = sum(device.vectors for device in config.devices)
    heap = (
        config.units * (vtd.ENTRIES * vtd.ENTRY_SIZE + 8 * PAGE)
        + config.cpus * (cpus.AREA_PAGES + 4) * PAGE
        + (vcpus * 10 + len(config.domains) * 4 + vectors * 2 + 128) * PAGE
    )
    return 4 * MIB + -(-heap // ALIGNMENT) * ALIGNMENT + ALIGNMENT
