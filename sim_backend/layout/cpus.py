"""Physical CPUs: their maps, per-CPU areas, stacks with `struct cpu_info` on top, and local APICs."""

from __future__ import annotations

from sim_backend.layout.builder import LayoutBuilder
from sim_backend.layout.config import NR_CPUS, LayoutConfig
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import PAGE

STACK_SIZE = 8 * PAGE
BAD_APICID = (1 << 32) - 1
CR4 = 0x003526E0
INVALID_BASE = 1 << 63
"""INVALID_PERCPU_AREA: this less `__per_cpu_start` is the offset of a CPU that has no area."""

SOFTIRQ_PENDING = "__softirq_pending"


class Cpus:
    """Where each CPU's per-CPU area and stack are. CPU 0's area is the one in the image."""

    def __init__(self) -> None:
        self.areas: dict[int, int] = {}
        self.stacks: dict[int, int] = {}

    def copy(self) -> Cpus:
        """One of the same state that goes its own way."""
        other = Cpus()
        other.areas, other.stacks = self.areas.copy(), self.stacks.copy()
        return other


def lay_out(ground: LayoutBuilder, cpus: Cpus, config: LayoutConfig) -> None:
    """All CPUs that Xen was built for: those of the machine online, the others absent."""
    memory = ground.memory
    ground.set_variable("nr_cpu_ids", 4, config.cpus)
    offsets, apics = ground.symbol("__per_cpu_offset"), ground.symbol("x86_cpu_to_apicid")
    for cpu in range(NR_CPUS):
        memory.set_u64(offsets + cpu * 8, invalid_offset(ground) if cpu else 0)
        memory.set_u32(apics + cpu * 4, config.apics[cpu] if cpu < config.cpus else BAD_APICID)
    cpus.areas[0] = ground.symbol("__per_cpu_start")
    for cpu in range(config.cpus):
        cpus.stacks[cpu] = ground.new_pages(STACK_SIZE // PAGE, STACK_SIZE)
        bring_up(ground, cpus, cpu)
        memory.test_and_set_bit(ground.symbol("cpu_present_map"), cpu)


def bring_up(ground: LayoutBuilder, cpus: Cpus, cpu: int) -> None:
    """Give a CPU its area with an empty blocking list, and set it online.

    Source: `init_percpu_area`, `vmx_pi_per_cpu_init`.
    """
    if cpu not in cpus.stacks:
        raise SimError(f"there is no CPU {cpu}")
    if cpu not in cpus.areas:
        cpus.areas[cpu] = ground.new_pages(area_pages(ground))
        start = ground.profile.symbol("__per_cpu_start")
        offset = ground.virtual(cpus.areas[cpu]) - start & (1 << 64) - 1
        ground.memory.set_u64(ground.symbol("__per_cpu_offset") + cpu * 8, offset)
    info = cpu_info(ground, cpus, cpu)
    offset = ground.memory.u64(ground.symbol("__per_cpu_offset") + cpu * 8)
    ground.put("cpu_info", info, {"processor_id": cpu, "per_cpu_offset": offset, "cr4": CR4})
    ground.list_init(percpu(ground, cpus, cpu, "vmx_pi_blocking") + ground.member("vmx_pi_blocking_vcpu", "list"))
    set_online(ground, cpu, True)


def release_area(ground: LayoutBuilder, cpus: Cpus, cpu: int) -> None:
    """Free a dead CPU's area and mark its offset invalid; the bytes stay. Source: `_free_percpu_area`."""
    if cpu == 0:
        raise SimError("CPU 0's area is in the image and is never freed")
    ground.heap.release(cpus.areas.pop(cpu), area_pages(ground) * PAGE)
    ground.memory.set_u64(ground.symbol("__per_cpu_offset") + cpu * 8, invalid_offset(ground))


def set_online(ground: LayoutBuilder, cpu: int, online: bool) -> None:
    """Set or clear a CPU's bit in `cpu_online_map`."""
    change = ground.memory.test_and_set_bit if online else ground.memory.test_and_clear_bit
    change(ground.symbol("cpu_online_map"), cpu)


def is_online(ground: LayoutBuilder, cpu: int) -> bool:
    """Whether a CPU's bit in `cpu_online_map` is set."""
    return bool(ground.memory.u8(ground.symbol("cpu_online_map") + cpu // 8) >> cpu % 8 & 1)


def percpu(ground: LayoutBuilder, cpus: Cpus, cpu: int, name: str) -> int:
    """A per-CPU variable, named without `per_cpu__`. Raises SimError if the CPU has no area."""
    if cpu not in cpus.areas:
        raise SimError(f"CPU {cpu} has no per-CPU area")
    return cpus.areas[cpu] + ground.symbol(f"per_cpu__{name}") - ground.symbol("__per_cpu_start")


def cpu_info(ground: LayoutBuilder, cpus: Cpus, cpu: int) -> int:
    """The `struct cpu_info` at the top of a CPU's stack. Source: `get_cpu_info`."""
    return cpus.stacks[cpu] + STACK_SIZE - ground.size("cpu_info")


def softirq_pending(ground: LayoutBuilder, cpu: int) -> int:
    """The CPU's `irq_stat[cpu].__softirq_pending`, 4 bytes."""
    kind = ground.profile.document["symbols"]["irq_stat"].get("type", {})
    struct = kind["subtype"]["name"] if kind.get("kind") == "array" else "irq_cpustat_t"
    return ground.symbol("irq_stat") + cpu * ground.size(struct) + ground.member(struct, SOFTIRQ_PENDING)


def area_pages(ground: LayoutBuilder) -> int:
    """Pages of a per-CPU area: a power of two, as Xen's allocator gives it."""
    size = ground.profile.symbol("__per_cpu_data_end") - ground.profile.symbol("__per_cpu_start")
    return 1 << (-(-size // PAGE) - 1).bit_length()


def invalid_offset(ground: LayoutBuilder) -> int:
    """`__per_cpu_offset` of a CPU without an area: not canonical, whatever is added."""
    return INVALID_BASE - ground.profile.symbol("__per_cpu_start") & (1 << 64) - 1
