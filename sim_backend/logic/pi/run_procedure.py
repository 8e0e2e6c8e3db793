"""One procedure alone, from its entry to its end: what it stores and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim_backend.layout.layout import Layout
from sim_backend.logic.context import LogicContext
from sim_backend.logic.program import PROCEDURES, Actor
from sim_backend.logic.versions import CURRENT, Version
from sim_backend.memory.errors import SimError

LOCAL_IRQ_COUNT = 8
"""Of `irq_cpustat_t`: bytes from `__softirq_pending` to `__local_irq_count`."""


@dataclass(frozen=True)
class Store:
    """A store to memory: where, how many bytes, the value before and after."""

    address: int
    size: int
    before: int
    after: int


Call = tuple[str, int, int]
"""A call that left the procedures: its name and arguments."""


@dataclass(frozen=True)
class Outcome:
    """What a procedure did: what it returned, and its stores and calls in order."""

    value: int
    events: Sequence[Store | Call]

    @property
    def stores(self) -> list[Store]:
        """The stores alone."""
        return [event for event in self.events if isinstance(event, Store)]

    @property
    def calls(self) -> list[Call]:
        """The calls alone."""
        return [event for event in self.events if not isinstance(event, Store)]


class _Alone(LogicContext):
    """A world in which the calls that leave the procedures are only noted."""

    def __init__(self, layout: Layout, version: Version, random: Callable[[], int]) -> None:
        super().__init__(layout, version)
        self.events: list[Store | Call] = []
        self.random = random

    def get_random(self) -> int:
        return self.random()

    def softirq_pending(self, cpu: int) -> int:
        return self.memory.u32(self.layout.irq_stat(cpu))

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        return self.memory.test_and_set_bit(self.layout.irq_stat(cpu), number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        self.events.append(("raise_softirq", actor.cpu, number))

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        self.events.append(("cpu_raise_softirq", cpu, number))

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        self.events.append(("send_IPI_mask", cpu, vector))

    def ack_apic_irq(self, actor: Actor) -> None:
        self.events.append(("ack_APIC_irq", actor.cpu, 0))

    def count_irq(self, actor: Actor) -> None:
        place = self.layout.percpu(actor.cpu, "irq_count")
        self.memory.set_u32(place, self.memory.u32(place) + 1 & 0xFFFF_FFFF)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        self.events.append(("vcpu_wake", vcpu, 0))

    def domain_pause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_pause", domain, 0))

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_unpause", domain, 0))

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        self.events.append(("iommu_flush_iec_index", unit, index))


def run_procedure(
    name: str,
    layout: Layout,
    *arguments: int,
    cpu: int = 0,
    in_irq: bool | None = None,
    version: Version = CURRENT,
    random: Callable[[], int] = lambda: 0,
    limit: int = 100_000,
) -> Outcome:
    """Run one procedure alone on a CPU, from its entry to its end, on the layout's memory.

    `current` is the vCPU that the CPU's `struct cpu_info` names. Arguments are physical addresses and numbers. What it
    calls outside of this module is noted and not done: vcpu_wake (vCPU), raise_softirq (CPU, number), cpu_raise_softirq
    (CPU, number), send_IPI_mask (CPU, vector), ack_APIC_irq (CPU), domain_pause and domain_unpause (domain),
    iommu_flush_iec_index (unit, index).

    Args:
        in_irq: whether in an interrupt handler; by default as the CPU's `__local_irq_count` tells.
        random: what `get_random` returns, call by call.
        limit: how many steps it may take.

    Raises:
        SimError: it waits for a lock that is held, does not end within the limit, or follows a wild pointer.
    """
    if name not in PROCEDURES:
        raise SimError(f"no procedure {name!r}")
    world = _Alone(layout, version, random)
    actor = Actor(f"CPU {cpu}", cpu)
    actor.current = layout.physical(layout.memory.u64(layout.cpu_info(cpu) + world.o.current_vcpu))
    actor.in_irq = layout.memory.u32(layout.irq_stat(cpu) + LOCAL_IRQ_COUNT) if in_irq is None else int(in_irq)
    actor.irqs = not actor.in_irq
    actor.call(PROCEDURES[name], *arguments)
    observer, layout.memory.observer = layout.memory.observer, lambda *store: world.events.append(Store(*store))
    try:
        for _ in range(limit):
            if not actor.stack:
                return Outcome(actor.result, world.events)
            if not actor.advance(world):
                raise SimError(f"{name} waits for a lock that nobody will release")
    finally:
        layout.memory.observer = observer
    raise SimError(f"{name} did not end within {limit} steps")
