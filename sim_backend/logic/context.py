"""What the logic works on: a machine's memory, state, actors and services, and the addresses that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from sim_backend.layout.domains import CDF_HVM
from sim_backend.layout.layout import Layout
from sim_backend.logic.calls import Calls
from sim_backend.logic.lapic import LAPIC_IRR
from sim_backend.logic.state import State
from sim_backend.logic.versions import Version
from sim_backend.logic.workload import Chance, Workload
from sim_backend.memory.errors import SimError
from sim_backend.memory.heap import Heap
from sim_backend.memory.memory import Memory
from structs.apic import XAPIC_DESTINATION
from structs.pi_desc import PI_DESC
from structs.xen import variants

if TYPE_CHECKING:
    from sim_backend.layout.devices import Msi
    from sim_backend.layout.vtd import VtdUnit
    from sim_backend.logic.actors import Device, Toolstack, Unit
    from sim_backend.logic.apics import Apics
    from sim_backend.logic.cpu import Cpu
    from sim_backend.logic.guests import Domains, Guests
    from sim_backend.logic.passthrough import Passthrough
    from sim_backend.logic.program import Actor
    from sim_backend.logic.services import Services
    from sim_backend.logic.store_buffers import BufferedMemory, StoreBuffer
    from sim_backend.logic.vtd_engine import Remapping


CONTROL = PI_DESC["on"].low // 64 * 8
"""Byte of the descriptor where the 64-bit word with ON, SN, NV and NDST begins."""
ON = PI_DESC["on"].low - CONTROL * 8
SN = PI_DESC["sn"].low - CONTROL * 8
NV = PI_DESC["nv"].low // 8
NDST = PI_DESC["ndst"].low // 8
PIR = PI_DESC["pir"].low // 8
PIR_WORDS = PI_DESC["pir"].width // 64

VCPU, CPU, DOMAIN, ENTRY, DEVICE, UNIT = range(6)
"""What the second number of an effect names."""
PIR_BIT, POSTED_BIT, PIR_WORD, VIRR_BIT, VIRR_WORD = (
    *("pir bit {:#x}", "pir bit {:#x} set; on", "pir[{}]", "vIRR bit {:#x}", "vIRR[{}]"),
)
LAPIC_IRR_BIT, LAPIC_ISR_BIT, SOFTIRQ = "LAPIC IRR bit {:#x}", "LAPIC ISR bit {:#x}", "softirq {}"
HOST_CPU, BUFFERED = "vector {}'s CPU on the host", "stores in the buffer"
"""Fields of effects, those with a number as a format."""

Field = str | tuple[str, int | str]
"""What changed: a field, or the format of one and what stands in it."""
Effect = tuple[int, int, Field, int, int]
"""What a step changed: kind and number of the thing, field, value before and after."""


class DescriptorOffsets:
    """Where a vCPU's descriptor lies, from the address that names the vCPU, and how a list is linked."""

    __slots__ = ("control", "list_next", "list_prev", "ndst", "nv", "pi_desc", "pir")

    def __init__(self, pi_desc: int, list_next: int, list_prev: int) -> None:
        self.pi_desc = pi_desc
        self.pir = pi_desc + PIR
        self.control = pi_desc + CONTROL
        self.nv = pi_desc + NV
        self.ndst = pi_desc + NDST
        self.list_next, self.list_prev = list_next, list_prev


class Offsets(DescriptorOffsets):
    """Where members lie in the structures of one build of Xen."""

    __slots__ = (
        *("block_hook", "current_vcpu", "dirty_cpu", "domain", "domain_options", "domain_pause_count"),
        *(
            "eoi_exitmap_changed",
            "irq_status",
            "is_running",
            "list",
            "lock",
            "lock_size",
            "msg_address",
        ),
        *("msg_address_hi", "msg_data", "msg_dest32", "msg_size", "msi_dev", "msi_gvec", "msi_index"),
        *("msi_initialized", "msi_msg", "msi_pi_desc", "next_in_list", "node", "node_lock"),
        *("pause_count", "pause_flags", "pi_flags", "poll_evtchn", "poll_mask", "processor", "regs"),
        *("runstate", "table_lock", "vcpu_id", "vcpus"),
    )

    def __init__(self, layout: Layout) -> None:

        def vcpu(path: str) -> int:
            return layout.member("vcpu", path)

        vmx, vlapic = variants.vmx(layout.profile), variants.vlapic(layout.profile)
        super().__init__(vcpu(f"{vmx}.pi_desc"), layout.member("list_head", "next"), layout.member("list_head", "prev"))
        self.pause_flags = vcpu("pause_flags")
        self.pause_count = vcpu("pause_count")
        self.processor = vcpu("processor")
        self.is_running = vcpu("is_running")
        self.runstate = vcpu("runstate.state")
        self.poll_evtchn = vcpu("poll_evtchn")
        self.vcpu_id = vcpu("vcpu_id")
        self.domain = vcpu("domain")
        self.next_in_list = vcpu("next_in_list")
        self.dirty_cpu = vcpu("dirty_cpu")
        self.node = vcpu(f"{vmx}.pi_blocking.list")
        self.node_lock = vcpu(f"{vmx}.pi_blocking.lock")
        self.eoi_exitmap_changed = vcpu(f"{vmx}.eoi_exitmap_changed")
        self.regs = vcpu(f"{vlapic}.regs")
        self.vcpus = layout.member("domain", "vcpu")
        self.poll_mask = layout.member("domain", "poll_mask")
        self.domain_pause_count = layout.member("domain", "pause_count")
        self.domain_options = layout.member("domain", "options")
        self.pi_flags = layout.member("domain", "arch.hvm.pi_ops.flags")
        self.block_hook = layout.member("domain", "arch.hvm.pi_ops.vcpu_block")
        self.list = layout.member("vmx_pi_blocking_vcpu", "list")
        self.lock = layout.member("vmx_pi_blocking_vcpu", "lock")
        self.current_vcpu = layout.member("cpu_info", "current_vcpu")
        self.msi_pi_desc = layout.member("msi_desc", "pi_desc")
        self.msi_gvec = layout.member("msi_desc", "gvec")
        self.msi_index = layout.member("msi_desc", "remap_index")
        self.msi_dev = layout.member("msi_desc", "dev")
        self.msi_initialized = layout.member("msi_desc", "irte_initialized")
        self.msi_msg = layout.member("msi_desc", "msg")
        self.msg_size = layout.size("msi_msg")
        self.msg_address = layout.member("msi_msg", "address_lo")
        self.msg_address_hi = layout.member("msi_msg", "address_hi")
        self.msg_data = layout.member("msi_msg", "data")
        self.msg_dest32 = layout.member("msi_msg", "dest32")
        self.irq_status = layout.member("irq_desc", "status")
        self.table_lock = layout.member("vtd_iommu", "intremap.lock")
        self.lock_size = layout.profile.member("vmx_pi_blocking_vcpu", "lock").size


def msi_key(msi: Msi) -> int:
    """A number for an MSI."""
    return msi.sid << 16 | msi.number


class Tally(Protocol):
    """Who counts interrupts."""

    def posted(self, v: int, vector: int) -> None:
        """A device's interrupt is posted to a vCPU, by the unit or by Xen."""

    def taken(self, v: int, vector: int) -> None:
        """The guest takes a virtual interrupt."""


class Uncounted:
    """Nobody counts."""

    __slots__ = ()

    def posted(self, v: int, vector: int) -> None:
        """As Tally."""

    def taken(self, v: int, vector: int) -> None:
        """As Tally."""


class Ground(Protocol):
    """How a machine's memory is laid out, as far as the hardware needs it."""

    memory: Memory
    heap: Heap
    units: list[VtdUnit]

    @property
    def config(self) -> Board:
        """The machine that is laid out."""

    @property
    def devices(self) -> Mapping[int, PciDevice]:
        """The devices, by number."""

    def device(self, bdf: int) -> PciDevice:
        """A device that is there."""

    def unit_of(self, bdf: int) -> int:
        """The VT-d unit that serves a device."""

    def register(self, unit: int, name: str) -> int:
        """A register of a VT-d unit, by its mnemonic."""

    def virtual(self, physical: int) -> int:
        """The kernel's own address of a byte of memory."""

    def physical(self, virtual: int) -> int:
        """The inverse of `virtual`."""

    def copy(self) -> Self:
        """One of the same state that goes its own way."""


class Board(Protocol):
    """What of a machine's configuration the hardware asks for."""

    @property
    def cpus(self) -> int:
        """How many CPUs there are."""

    @property
    def x2apic(self) -> bool:
        """Whether its APICs are in x2APIC mode."""

    @property
    def apics(self) -> tuple[int, ...]:
        """By CPU, its APIC ID."""


class PciDevice(Protocol):
    """A device's MSIs."""

    @property
    def msis(self) -> tuple[Msi, ...]:
        """By vector's number."""


class Logic(Protocol):
    """What of a version the hardware's procedures ask."""

    @property
    def name(self) -> str:
        """By which it is asked for."""

    @property
    def awaits_flush(self) -> bool:
        """Whoever invalidates an entry waits until the unit has done it."""


class GuestAddresses(Protocol):
    """Where guests' vCPUs are, whoever runs them."""

    @property
    def names(self) -> dict[int, tuple[int, int]]:
        """By guest vCPU, its domain and number."""

    @property
    def vcpus(self) -> list[int]:
        """All guests' vCPUs."""

    @property
    def irrs(self) -> dict[int, int]:
        """By guest vCPU, where its virtual IRR begins."""

    @property
    def by_apic(self) -> dict[int, int]:
        """The CPU of an APIC ID."""


class Context:
    """A machine's parts, as the logic of the hardware and of any hypervisor sees them.

    Attributes:
        layout: how memory is laid out; all of it, that of devices too, is `layout.memory`.
        memory: as procedures see it: with store buffers, those of the CPU that moves come first.
        buffered: the same where there are store buffers, else None.
        state: what is neither memory nor an actor's.
        o: member offsets.
        addresses: where everything is.
        services, guests: what procedures call.
        chance: what decides where several things can happen. tally: who counts interrupts.
        effect: what the last step changed, or None.
        words: what the last step did, where that is not what its procedure says of it.
        begun: procedure and step that an actor which had nothing to do began with, or None.
    """

    __slots__ = (
        *("addresses", "begun", "buffered", "chance", "cpus", "devices", "drains", "effect", "guests", "layout"),
        *("memory", "o", "outside", "physical", "remapping", "services", "state", "tally", "toolstack", "units"),
        *("version", "virtual", "words", "workload"),
    )

    layout: Ground
    version: Logic
    o: DescriptorOffsets
    addresses: GuestAddresses
    services: Apics
    guests: Guests
    cpus: list[Cpu]
    drains: list[StoreBuffer]
    devices: dict[int, Device]
    units: list[Unit]
    remapping: list[Remapping]
    toolstack: Toolstack
    outside: Actor

    def __init__(self, layout: Ground, version: Logic, state: State, chance: Chance, o: DescriptorOffsets) -> None:
        self.layout = layout
        self.memory: Memory = layout.memory
        self.buffered: BufferedMemory | None = None
        self.version = version
        self.state = state
        self.chance: Chance = chance
        self.tally: Tally = Uncounted()
        self.workload = Workload()
        self.o = o
        self.effect: Effect | None = None
        self.words: tuple[str, str] | None = None
        self.begun: tuple[int, int] | None = None
        self.virtual = layout.virtual
        self.physical = layout.physical


class LogicContext(Context):
    """A machine that Xen runs on.

    Attributes:
        calls: what the procedures of posted interrupts call outside of themselves.
        passthrough: what the others call for devices that guests have.
    """

    __slots__ = (
        *("apicids", "block_function", "calls", "iommu_intpost", "passthrough", "pi_wakeup_vector"),
        *("posted_intr_vector", "x2apic_enabled"),
    )

    layout: Layout
    version: Version
    o: Offsets
    addresses: Addresses
    services: Services
    guests: Domains
    calls: Calls
    passthrough: Passthrough

    def __init__(self, layout: Layout, version: Version, state: State, chance: Chance) -> None:
        super().__init__(layout, version, state, chance, Offsets(layout))
        symbol = layout.symbol
        self.posted_intr_vector = symbol("posted_intr_vector")
        self.pi_wakeup_vector = symbol("pi_wakeup_vector")
        self.iommu_intpost = symbol("iommu_intpost")
        self.x2apic_enabled = symbol("x2apic_enabled")
        self.apicids = symbol("x86_cpu_to_apicid")
        self.block_function = layout.virtual(symbol("vmx_vcpu_block"))

    def refresh(self) -> None:
        """Compute again what follows from the layout, for domains came or went."""
        self.addresses = Addresses.of(self.layout)

    def blocking_list(self, cpu: int) -> int:
        """The head of a CPU's blocking list. Raises SimError if the CPU has no per-CPU area."""
        return self._area(cpu) + self.o.list

    def blocking_lock(self, cpu: int) -> int:
        """The lock of a CPU's blocking list."""
        return self._area(cpu) + self.o.lock

    def _area(self, cpu: int) -> int:
        try:
            return self.state.areas[cpu]
        except KeyError:
            raise SimError(f"CPU {cpu} has no per-CPU area") from None

    def destination(self, cpu: int) -> int:
        """The NDST that names a CPU. In xAPIC mode an APIC ID over 255 loses its upper bits, as in Xen."""
        memory = self.memory
        apic_id = memory.u32(self.apicids + cpu * 4)
        return apic_id if memory.u8(self.x2apic_enabled) else apic_id << 8 & XAPIC_DESTINATION

    def table_lock(self, unit: int) -> int:
        """The lock of a unit's interrupt-remapping table."""
        return self.layout.units[unit].iommu + self.o.table_lock

    def source_id(self, pci_dev: int) -> int:
        """A device's source-id: bus << 8 | devfn."""
        return self.layout.get("pci_dev", pci_dev, "sbdf.sbdf") & 0xFFFF

    def first_vcpu(self, domain: int) -> int:
        """The first vCPU of a domain, 0 if it has none."""
        table = self.memory.u64(domain + self.o.vcpus)
        first = self.memory.u64(self.physical(table)) if table else 0
        return self.physical(first) if first else 0

    def next_vcpu(self, vcpu: int) -> int:
        """The next vCPU of its domain, 0 if it is the last."""
        following = self.memory.u64(vcpu + self.o.next_in_list)
        return self.physical(following) if following else 0

    def is_hvm(self, domain: int) -> bool:
        """Whether a domain is virtualised by hardware. Source: `is_hvm_domain`."""
        return bool(self.memory.u32(domain + self.o.domain_options) & CDF_HVM)

    def domain_of(self, vcpu: int) -> int:
        """A vCPU's `struct domain`."""
        try:
            return self.addresses.domain_of[vcpu]
        except KeyError:
            # Of one that was freed, what its page still says.
            return self.physical(self.memory.u64(vcpu + self.o.domain))

    def any_online_cpu(self) -> int:
        """One CPU of `cpu_online_map`. Source: `cpumask_any`, which draws a number only if there is a choice."""
        online = self.state.online
        if not online:
            raise SimError("no CPU is online")
        return online[self.chance.below(len(online))] if len(online) > 1 else online[0]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Physical addresses.

    Attributes:
        names: by guest vCPU, its domain and number.
        idle: by CPU, its idle vCPU.
        vcpus: all guests' vCPUs.
        domain_of: by vCPU, idle ones too, its `struct domain`.
        irrs: by guest vCPU, where its virtual IRR begins.
        units: by vCPU, its `struct sched_unit`; resources: by CPU, its `struct sched_resource`.
        softirqs: by CPU, its `__softirq_pending`; current: its `cpu_info.current_vcpu`.
        irq_count, curr_vcpu: bytes from a CPU's `vmx_pi_blocking` to these per-CPU variables.
        unit_running, unit_res, resource_curr: bytes to these members.
        by_apic: the CPU of an APIC ID.
    """

    names: dict[int, tuple[int, int]]
    idle: list[int]
    vcpus: list[int]
    domain_of: dict[int, int]
    irrs: dict[int, int]
    units: dict[int, int]
    resources: list[int]
    softirqs: list[int]
    current: list[int]
    irq_count: int
    curr_vcpu: int
    unit_running: int
    unit_res: int
    resource_curr: int
    by_apic: dict[int, int]

    @classmethod
    def of(cls, layout: Layout) -> Addresses:
        """A layout's."""
        cpus = range(layout.config.cpus)
        names = {
            vcpu: (number, index)
            for number, domain in layout.domains.items()
            if domain.hvm
            for index, vcpu in enumerate(domain.vcpus)
        }
        idle = [layout.idle_vcpu(cpu) for cpu in cpus]
        everyone = [*names, *idle]

        def pointed(struct: str, address: int, path: str) -> int:
            return layout.physical(layout.get(struct, address, path))

        units = {v: pointed("vcpu", v, "sched_unit") for v in everyone}
        blocking = layout.symbol("per_cpu__vmx_pi_blocking")
        return cls(
            names=names,
            idle=idle,
            vcpus=list(names),
            domain_of={v: pointed("vcpu", v, "domain") for v in everyone},
            irrs={v: pointed("vcpu", v, "arch.hvm.vlapic.regs") + LAPIC_IRR for v in names},
            units=units,
            resources=[pointed("sched_unit", units[v], "res") for v in idle],
            softirqs=[layout.irq_stat(cpu) for cpu in cpus],
            current=[layout.cpu_info(cpu) + layout.member("cpu_info", "current_vcpu") for cpu in cpus],
            irq_count=layout.symbol("per_cpu__irq_count") - blocking,
            curr_vcpu=layout.symbol("per_cpu__curr_vcpu") - blocking,
            unit_running=layout.member("sched_unit", "is_running"),
            unit_res=layout.member("sched_unit", "res"),
            resource_curr=layout.member("sched_resource", "curr"),
            by_apic={layout.config.apics[cpu]: cpu for cpu in cpus},
        )


def areas(layout: Layout) -> dict[int, int]:
    """By CPU that has a per-CPU area, where its `vmx_pi_blocking` is."""
    found = {}
    for cpu in range(layout.config.cpus):
        try:
            found[cpu] = layout.percpu(cpu, "vmx_pi_blocking")
        except SimError:
            continue
    return found
