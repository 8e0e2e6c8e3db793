"""What the logic works on: a layout's memory with the addresses that it needs, and what it calls outside of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sim_backend.layout.domains import CDF_HVM
from sim_backend.layout.layout import Layout
from sim_backend.logic.program import Actor
from sim_backend.logic.versions import Version
from sim_backend.memory.errors import SimError
from structs.apic import XAPIC_DESTINATION
from structs.pi_desc import PI_DESC

U64 = (1 << 64) - 1
MULTIPLIER, INCREMENT = 6364136223846793005, 1442695040888963407
"""Of the generator that machines draw from: a linear congruential one of 64 bits, its upper bits used."""
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

Effect = tuple[int, int, str, int, int]
"""What a step changed: kind and number of the thing, field, value before and after."""


class Offsets:
    """Where members lie in the structures of one build of Xen."""

    def __init__(self, layout: Layout) -> None:

        def vcpu(path: str) -> int:
            return layout.member("vcpu", path)

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
        self.pi_desc = vcpu("arch.hvm.vmx.pi_desc")
        self.pir = self.pi_desc + PIR
        self.control = self.pi_desc + CONTROL
        self.nv = self.pi_desc + NV
        self.ndst = self.pi_desc + NDST
        self.node = vcpu("arch.hvm.vmx.pi_blocking.list")
        self.node_lock = vcpu("arch.hvm.vmx.pi_blocking.lock")
        self.eoi_exitmap_changed = vcpu("arch.hvm.vmx.eoi_exitmap_changed")
        self.regs = vcpu("arch.hvm.vlapic.regs")
        self.vcpus = layout.member("domain", "vcpu")
        self.poll_mask = layout.member("domain", "poll_mask")
        self.domain_pause_count = layout.member("domain", "pause_count")
        self.domain_options = layout.member("domain", "options")
        self.pi_flags = layout.member("domain", "arch.hvm.pi_ops.flags")
        self.block_hook = layout.member("domain", "arch.hvm.pi_ops.vcpu_block")
        self.list_next = layout.member("list_head", "next")
        self.list_prev = layout.member("list_head", "prev")
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
        self.table_lock = layout.member("vtd_iommu", "intremap.lock")
        self.lock_size = layout.profile.member("vmx_pi_blocking_vcpu", "lock").size


class LogicContext(ABC):
    """A layout's memory, as the logic sees it.

    Attributes:
        o: member offsets.
        effect: what the last step changed, or None.
        words: what the last step did, where that is not what its procedure says of it.
    """

    def __init__(self, layout: Layout, version: Version) -> None:
        self.layout = layout
        self.memory = layout.memory
        self.version = version
        self.o = Offsets(layout)
        self.effect: Effect | None = None
        self.words: tuple[str, str] | None = None
        self.virtual = layout.virtual
        self.physical = layout.physical
        symbol = layout.symbol
        self.posted_intr_vector = symbol("posted_intr_vector")
        self.pi_wakeup_vector = symbol("pi_wakeup_vector")
        self.iommu_intpost = symbol("iommu_intpost")
        self.x2apic_enabled = symbol("x2apic_enabled")
        self.apicids = symbol("x86_cpu_to_apicid")
        self.nr_cpu_ids = symbol("nr_cpu_ids")
        self.online_map = symbol("cpu_online_map")
        self.block_function = layout.virtual(symbol("vmx_vcpu_block"))

    def blocking_list(self, cpu: int) -> int:
        """The head of a CPU's blocking list. Raises SimError if the CPU has no per-CPU area."""
        return self.layout.percpu(cpu, "vmx_pi_blocking") + self.o.list

    def blocking_lock(self, cpu: int) -> int:
        """The lock of a CPU's blocking list."""
        return self.layout.percpu(cpu, "vmx_pi_blocking") + self.o.lock

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
        return self.physical(self.memory.u64(vcpu + self.o.domain))

    def online_cpus(self) -> list[int]:
        """The CPUs in `cpu_online_map`, ascending."""
        bits = int.from_bytes(self.memory.read(self.online_map, -(-self.memory.u32(self.nr_cpu_ids) // 8)), "little")
        return [cpu for cpu in range(bits.bit_length()) if bits >> cpu & 1]

    def any_online_cpu(self) -> int:
        """One CPU of `cpu_online_map`. Source: `cpumask_any`, which draws a number only if there is a choice."""
        online = self.online_cpus()
        if not online:
            raise SimError("no CPU is online")
        return online[self.get_random() % len(online)] if len(online) > 1 else online[0]

    @abstractmethod
    def get_random(self) -> int:
        """32 random bits."""

    @abstractmethod
    def softirq_pending(self, cpu: int) -> int:
        """A CPU's pending softirqs."""

    @abstractmethod
    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        """Make a softirq pending with no interrupt sent; whether it was already."""

    @abstractmethod
    def raise_softirq(self, actor: Actor, number: int) -> None:
        """Make a softirq pending on the actor's own CPU."""

    @abstractmethod
    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        """Make a softirq pending on a CPU, and have it look."""

    @abstractmethod
    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        """Send an interrupt to a CPU."""

    @abstractmethod
    def ack_apic_irq(self, actor: Actor) -> None:
        """Tell the CPU's local APIC that its highest interrupt in service has been handled."""

    @abstractmethod
    def count_irq(self, actor: Actor) -> None:
        """Add one to the CPU's `irq_count`."""

    @abstractmethod
    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        """Have the scheduler run a vCPU again, if nothing else keeps it from it."""

    @abstractmethod
    def domain_pause(self, actor: Actor, domain: int) -> None:
        """Stop all vCPUs of a domain and wait until they have."""

    @abstractmethod
    def domain_unpause(self, actor: Actor, domain: int) -> None:
        """Undo one `domain_pause`."""

    @abstractmethod
    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        """Invalidate one entry of a unit's interrupt entry cache and wait until that is done."""
