"""A machine that is not there: Xen's memory, moved one atomic action at a time by Xen's own logic.

    >>> machine = Machine(load("idle"))
    >>> machine.block("d1v0")
    >>> machine.settle() > 0
    True
    >>> machine.post("00:03.0", 0)
    >>> print(machine.step())
    device 00:03.0: VT-d interrupt request: is remapped: the entry is fetched and checked

Who moves next is drawn from a generator that is part of the state: the same machine, version and seed give the same
run, byte by byte.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sim_backend.layout.config import LayoutConfig
from sim_backend.layout.domains import BLOCKED
from sim_backend.layout.layout import Layout
from sim_backend.logic.actors import Beside, Device
from sim_backend.logic.context import LogicContext
from sim_backend.logic.cpu import idle_loop
from sim_backend.logic.pi import VPF_BLOCKED
from sim_backend.logic.program import BY_NUMBER
from sim_backend.logic.scheduler import SCHEDULE_SOFTIRQ, wake
from sim_backend.logic.state import State
from sim_backend.logic.versions import CURRENT, Version
from sim_backend.logic.workload import U64
from sim_backend.machine.engine import Engine
from sim_backend.machine.environment import PCIE_ENDPOINT, Environment
from sim_backend.machine.outside import Outside, xen_happens
from sim_backend.machine.parts import assembled
from sim_backend.memory.errors import SimError
from sim_backend.scenario.bugs import xen_version
from sim_backend.scenario.scenario import DEFAULT, Scenario, load, parse_bdf


class Machine(Environment, Engine[LogicContext]):
    """A machine with the posted-interrupt logic of one version of Xen.

    Args:
        scenario: what machine; the bundled `one-device` by default. A LayoutConfig is a machine that does nothing of
            itself.
        version: `seed` (4.7), `current` (4.20) or `4.21`.
        seed: of the generator that decides who moves.
        store_buffers: what a CPU stores becomes visible to others later (see `sim_backend.logic.store_buffers`).
        state: the class of its state.

    vCPUs are named `d1v0` or (1, 0), devices `00:03.0` or by number (bus << 8 | devfn).

    Raises:
        SimError: there is no such machine.
    """

    __slots__ = ()

    def __init__(
        self,
        scenario: Scenario | LayoutConfig | None = None,
        version: str | Version = CURRENT,
        seed: int = 0,
        store_buffers: bool = False,
        state: type[State] = State,
    ) -> None:
        if isinstance(scenario, LayoutConfig):
            scenario = Scenario(layout=scenario)
        scenario = scenario or load(DEFAULT)
        chosen = xen_version(version) if isinstance(version, str) else version
        layout = Layout(_boot_config(scenario.layout, chosen))
        first = state.switched_on(layout.config.cpus, len(layout.units), store_buffers)
        first.draw = first.random = seed & U64
        first.status = [layout.heap.small(layout.memory, 64) for _ in layout.units]
        first.message_buffer = layout.heap.small(layout.memory, 64)
        w = assembled(layout, chosen, first, scenario.workload)
        self._take(scenario, w)
        for cpu in w.cpus:
            w.services.start_idle(cpu)
        first.curr = list(w.addresses.idle)
        first.scheduled = list(w.addresses.idle)
        self._boot()

    def _boot(self) -> None:
        """Assign the devices, then let every vCPU wait for a CPU."""
        w, layout = self.context, self.layout
        for v in [v for domain in layout.domains.values() if not domain.hvm for v in domain.vcpus]:
            # The control domain's work is done by the toolstack; its own vCPUs sleep.
            layout.put("vcpu", v, {"pause_flags": 1 << VPF_BLOCKED, "runstate.state": BLOCKED})
        for sid in w.devices:
            layout.put("pci_dev", layout.device(sid).address, {"type": PCIE_ENDPOINT})
        guests = w.guests.domain_numbers()
        for device in self.scenario.layout.devices:
            if device.domain in guests:
                self.assign(device.bdf, device.domain)
        movers: list[Beside] = [w.toolstack, *w.units]
        while self.toolstack_busy():
            if not any(mover.turn(w) for mover in movers):
                raise SimError("the devices cannot be assigned: the toolstack waits for ever")
        for v in self.names:
            self.state.runq[self.memory.u32(v + self.o.processor)].append(v)
        for cpu in w.cpus:
            self.memory.test_and_set_bit(w.addresses.softirqs[cpu.cpu], SCHEDULE_SOFTIRQ)

    def happen(self, outside: Outside, name: str) -> bool:
        """As Parts."""
        return xen_happens(self, outside, name)

    def where(self, cpu: int) -> str:
        """`guest`, `idle`, or the function that a CPU is about to begin, or is in (`vmx_vcpu_block+3`: 3 steps in)."""
        actor = self.cpus[cpu]
        if actor.guest:
            return "guest"
        procedure, pc = actor.stack[-1][:2]
        name = BY_NUMBER[procedure].name
        if name == idle_loop.name:
            return "idle"
        return f"{name}+{pc}" if pc else name

    # What comes that was not there: no orders, for a history has no use for them.

    def create_domain(self, domain: int, vcpus: int) -> None:
        """A new domain, at once; its vCPUs wait for a CPU."""
        w, active = self.context, self.state.active
        self.layout.create_domain(domain, vcpus)
        w.refresh()
        for number in range(vcpus):
            v = self.layout.vcpu(domain, number)
            if self.memory.u32(v + self.o.processor) not in active:
                w.services.set_processor(v, active[number % len(active)])
            wake(w, w.toolstack, v)

    def add_device(self, device: str | int, vectors: int) -> None:
        """A new device is plugged in; nobody owns it."""
        sid = parse_bdf(device) if isinstance(device, str) else device
        self.layout.add_device(sid, vectors)
        self.layout.put("pci_dev", self.layout.device(sid).address, {"type": PCIE_ENDPOINT})
        self.context.devices[sid] = Device.of(sid)
        self._line_up()

    def save(self, path: str | Path) -> None:
        """Write the machine to a file, which appears whole or not at all. Raises SimError if that fails."""
        from sim_backend.machine.checkpoint import write

        write(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Machine:
        """The machine that `save` wrote. Raises SimError if the file is damaged or none of these."""
        from sim_backend.machine.checkpoint import read

        machine = read(Path(path))
        if not isinstance(machine, Machine):
            raise SimError(f"{path} is a machine with another hypervisor than Xen")
        return machine


def _boot_config(config: LayoutConfig, version: Version) -> LayoutConfig:
    """The layout before any device is assigned, with vCPUs and posting as this version has them."""
    devices = tuple(replace(device, domain=0) for device in config.devices)
    if not config.cpus_post:
        config = replace(config, posted_intr_vector=0, pi_wakeup_vector=0)
    return replace(
        config,
        devices=devices,
        low_vcpus=version.low_vcpus,
        ndst_at_creation=version.ndst_at_creation,
        intpost=config.intpost and (config.cpus_post or not version.needs_posting_cpus),
    )
