"""One procedure alone, from its entry to its end: what it stores and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim_backend.layout.layout import Layout
from sim_backend.logic.context import LogicContext, areas
from sim_backend.logic.program import PROCEDURES, Actor, ActorId, ActorKind
from sim_backend.logic.state import State
from sim_backend.logic.versions import CURRENT, Version
from sim_backend.memory.errors import SimError
from structs.frozen import frozen

LOCAL_IRQ_COUNT = 8
"""Of `irq_cpustat_t`: bytes from `__softirq_pending` to `__local_irq_count`."""
IN_MWAIT = 4
"""To `in_mwait`, in builds that have it; a byte."""


@frozen
class Store:
    """A store to memory: where, how many bytes, the value before and after."""

    address: int
    size: int
    before: int
    after: int


Call = tuple[str, int, int]
"""A call that left the procedures: its name and arguments."""


@frozen
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


class Noted:
    """Calls that are only noted."""

    def __init__(self, w: LogicContext) -> None:
        self.w = w
        self.events: list[Store | Call] = []

    def softirq_pending(self, cpu: int) -> int:
        return self.w.memory.u32(self.w.layout.irq_stat(cpu))

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        return self.w.memory.test_and_set_bit(self.w.layout.irq_stat(cpu), number)

    def raise_softirq(self, actor: Actor, number: int) -> None:
        self.events.append(("raise_softirq", actor.cpu, number))

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        self.events.append(("cpu_raise_softirq", cpu, number))

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        self.events.append(("send_IPI_mask", cpu, vector))

    def ack_apic_irq(self, actor: Actor) -> None:
        self.events.append(("ack_APIC_irq", actor.cpu, 0))

    def count_irq(self, actor: Actor) -> None:
        place = self.w.layout.percpu(actor.cpu, "irq_count")
        self.w.memory.set_u32(place, self.w.memory.u32(place) + 1 & 0xFFFF_FFFF)

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        self.events.append(("vcpu_wake", vcpu, 0))

    def domain_pause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_pause", domain, 0))

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        self.events.append(("domain_unpause", domain, 0))

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        self.events.append(("iommu_flush_iec_index", unit, index))


class _Given:
    """Choices that somebody else makes."""

    def __init__(self, random: Callable[[], int]) -> None:
        self.random = random

    def below(self, limit: int) -> int:
        return self.random() % limit

    def happens(self, rate: int) -> bool:
        return False


def alone(layout: Layout, version: Version, random: Callable[[], int]) -> tuple[LogicContext, Noted]:
    """A machine of which there is nothing but memory, and the list of the CPUs that are online."""
    state = State.switched_on(layout.config.cpus, 0, False)
    state.online = [cpu for cpu in range(layout.config.cpus) if layout.is_online(cpu)]
    state.areas = areas(layout)
    w = LogicContext(layout, version, state, _Given(random))
    w.refresh()
    w.calls = noted = Noted(w)
    return w, noted


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
    w, noted = alone(layout, version, random)
    actor = Actor(ActorId(ActorKind.CPU, cpu), f"CPU {cpu}", cpu)
    actor.current = layout.physical(layout.memory.u64(layout.cpu_info(cpu) + w.o.current_vcpu))
    actor.in_irq = layout.memory.u32(layout.irq_stat(cpu) + LOCAL_IRQ_COUNT) if in_irq is None else int(in_irq)
    actor.irqs = not actor.in_irq
    actor.call(PROCEDURES[name], *arguments)
    observer, layout.memory.observer = layout.memory.observer, lambda *store: noted.events.append(Store(*store))
    try:
        for _ in range(limit):
            if not actor.stack:
                return Outcome(actor.result, noted.events)
            if not actor.advance(w):
                raise SimError(f"{name} waits for a lock that nobody will release")
    finally:
        layout.memory.observer = observer
    raise SimError(f"{name} did not end within {limit} steps")
