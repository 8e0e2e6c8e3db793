"""A machine's state beside its memory, who acts in it, and how they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim_backend.logic.actors import Device, Outside, Toolstack, Unit
from sim_backend.logic.context import DEVICE, DOMAIN, ENTRY, INCREMENT, MULTIPLIER, U64, UNIT, VCPU, LogicContext
from sim_backend.logic.cpu import BufferedCpu, Cpu
from sim_backend.logic.pi import IRR
from sim_backend.logic.store_buffers import Store, StoreBuffer
from sim_backend.logic.vtd_engine import Remapping
from sim_backend.memory.errors import SimError
from sim_backend.memory.naming import VcpuName, device_name, parse_vcpu
from sim_backend.scenario.scenario import OUT_OF, Scenario, Workload, parse_bdf

if TYPE_CHECKING:
    from sim_backend.machine.moves import Move


class State(LogicContext):
    """What a machine is made of: Xen's memory, the actors, and plain tables of what is no memory.

    Attributes:
        random, draw: of the generators, for what happens and for who moves.
        scheduled, runq: by CPU, the vCPU that the scheduler chose for it, and those that wait there.
        curr: by CPU, the vCPU whose state it holds (`curr_vcpu`).
        online, active: the CPUs in `cpu_online_map`, and those of them that the scheduler uses.
        events: the vCPUs with an event-channel upcall pending.
        migrating: where vCPUs that are being moved will go.
        orders: what guests were told to do on a vCPU.
        bindings: by MSI, the vCPUs and vectors that the guest has it go to.
        iec: the units' interrupt entry caches, by unit and index.
        background: whether the toolstack or a unit may have something to do.
        choices: while a move is performed, what the logic's draws give; else None: chance decides.
        store_buffers: whether CPUs have store buffers. buffers: by CPU, its stores that others do not see yet.
    """

    scenario: Scenario
    workload: Workload
    random: int
    draw: int
    status: list[int]
    message_buffer: int
    curr: list[int]
    scheduled: list[int]
    ipi_order: list[int]
    store_buffers = False

    def _plain_state(self) -> None:
        """What is no memory, for a machine that is switched on."""
        config = self.layout.config
        self.steps = 0
        self.ipi_order = []
        self.crashed: str | None = None
        self.entered: tuple[str, str] | None = None
        self.begun = ("", "")
        self.moving: Any = None
        self.choices: list[int] | None = None
        self.ahead: tuple[Move, ...] = ()
        self.reserved_first = False
        self.online = list(range(config.cpus))
        self.active = list(self.online)
        self.runq: list[list[int]] = [[] for _ in self.online]
        self.tasklets = [0] * config.cpus
        self.dpci: list[list[int]] = [[] for _ in self.online]
        self.flush_locked = 0
        self.flush_mask = 0
        self.leaving = -1
        self.background = False
        self.lost = 0
        self.events: dict[int, int] = {}
        self.migrating: dict[int, int] = {}
        self.orders: dict[int, list[list[int]]] = {}
        self.bindings: dict[int, tuple[tuple[int, int], ...]] = {}
        self.owners: dict[int, int] = {}
        self.iec: dict[tuple[int, int], int] = {}
        self.next_fault = [0] * config.units
        self.names: dict[int, tuple[int, int]] = {}
        self.buffers: list[list[Store]] = [[] for _ in self.online] if self.store_buffers else []

    def buffer(self, cpu: int) -> list[Store]:
        """A CPU's stores that others do not see yet, the oldest first."""
        return self.buffers[cpu]

    def _actors(self) -> None:
        layout = self.layout
        kind = BufferedCpu if self.store_buffers else Cpu
        self.cpus: list[Cpu] = [kind(layout, number) for number in range(layout.config.cpus)]
        self.devices = {sid: Device(sid, device_name(sid)) for sid in layout.devices}
        self.units = [Unit(number) for number in range(len(layout.units))]
        self.drains = [StoreBuffer(number) for number in range(len(self.buffers))]
        self.toolstack = Toolstack()
        self.outside = Outside()
        self.remapping = [Remapping(layout, unit) for unit in range(len(layout.units))]
        self.refresh()

    def refresh(self) -> None:
        """Compute again what follows from the layout: addresses, and who there is."""
        layout = self.layout
        cpus = range(layout.config.cpus)
        self._line_up()
        self.idle = [layout.idle_vcpu(cpu) for cpu in cpus]
        self.softirqs = [layout.irq_stat(cpu) for cpu in cpus]
        self.info = [layout.cpu_info(cpu) + self.o.current_vcpu for cpu in cpus]
        self.areas = {cpu: layout.percpu(cpu, "vmx_pi_blocking") for cpu in cpus if self.has_area(cpu)}
        self.irq_counts = {cpu: layout.percpu(cpu, "irq_count") for cpu in self.areas}
        self.curr_vcpus = {cpu: layout.percpu(cpu, "curr_vcpu") for cpu in self.areas}
        self.by_apic = {layout.config.apics[cpu]: cpu for cpu in cpus}
        self.names = {
            vcpu: (number, index)
            for number, domain in layout.domains.items()
            if domain.hvm
            for index, vcpu in enumerate(domain.vcpus)
        }
        everyone = [*self.names, *self.idle]
        self.domain_cache = {v: LogicContext.domain_of(self, v) for v in everyone}
        self.irrs = {v: self.physical(self.memory.u64(v + self.o.regs)) + IRR for v in self.names}
        self.schedulable = list(self.names)
        self._units_of = {v: self.physical(layout.get("vcpu", v, "sched_unit")) for v in everyone}

    def _line_up(self) -> None:
        """All actors; those who most often have nothing to do stand last, and are drawn only while `background`."""
        first = [*self.cpus, *self.drains, *self.devices.values(), self.outside]
        self.actors: list[Any] = [*first, self.toolstack, *self.units]
        self.foreground = len(first)
        self.ring = self.actors * 2
        self.foreground_ring = self.actors[: self.foreground] * 2

    def has_area(self, cpu: int) -> bool:
        """Whether a CPU has a per-CPU area."""
        try:
            self.layout.percpu(cpu, "irq_count")
        except SimError:
            return False
        return True

    def get_random(self) -> int:
        if self.choices is not None:
            return self.choices.pop(0) if self.choices else 0
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        return self.random >> 32

    def below(self, limit: int) -> int:
        """A random number below `limit`."""
        return self.get_random() % limit

    def chance(self, rate: int) -> bool:
        """True `rate` times out of 1024."""
        if not rate:
            return False
        self.random = (self.random * MULTIPLIER + INCREMENT) & U64
        return (self.random >> 40) % OUT_OF < rate

    def name_of(self, kind: int, subject: int) -> str:
        """A thing's name, for people."""
        if kind == VCPU:
            return self.vcpu_name(subject)
        if kind == DOMAIN:
            numbers = [number for number, domain in self.layout.domains.items() if domain.address == subject]
            return f"d{numbers[0]}" if numbers else f"domain at {subject:#x}"
        if kind == DEVICE:
            return f"device {device_name(subject)}"
        if kind == ENTRY:
            return f"unit {subject >> 16} entry {subject & 0xFFFF}"
        return f"{'unit' if kind == UNIT else 'CPU'} {subject}"

    def vcpu_name(self, v: int) -> str:
        """`d1v0`, `idle 2`, or an address that is no vCPU's."""
        if v in self.names:
            return "d{}v{}".format(*self.names[v])
        return f"idle {self.idle.index(v)}" if v in self.idle else f"freed vCPU at {v:#x}"

    def vcpu(self, name: VcpuName) -> int:
        """A vCPU's `struct vcpu` by its name. Raises SimError if there is none."""
        if isinstance(name, int):
            pair = self.names.get(name)
        elif isinstance(name, str):
            pair = parse_vcpu(name)
        else:
            pair = name
        for v, known in self.names.items():
            if known == pair:
                return v
        raise SimError(f"there is no vCPU {name}; there are {', '.join(map(self.vcpu_name, self.names))}")

    def sid(self, device: str | int) -> int:
        """A device's source-id by its name. Raises SimError if there is none."""
        sid = parse_bdf(device) if isinstance(device, str) else device
        if sid not in self.devices:
            known = ", ".join(map(device_name, self.devices)) or "none"
            raise SimError(f"there is no device {device_name(sid)}; there are: {known}")
        return sid
