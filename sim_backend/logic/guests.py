"""What guests do of themselves, and what they are told to do; their virtual local APICs."""

from __future__ import annotations

from sim_backend.logic.context import Context, LogicContext
from sim_backend.logic.workload import INCREMENT, MULTIPLIER, OUT_OF, U64

FIRST_GUEST_VECTOR, GUEST_VECTORS = 0x30, 192
TIMER_VECTOR = 0xEC
"""What an emulated timer interrupts its guest with."""
HALT, HYPERCALL, SEND_IPI, DOWN, REWRITE_MSI = range(1, 6)
"""What a guest may be told to do."""


class Guests:
    """The guests' side of a machine."""

    __slots__ = ("w",)

    def __init__(self, w: Context) -> None:
        self.w = w

    def tell(self, v: int, *order: int) -> None:
        """Tell a guest what to do on a vCPU the next time that it runs there."""
        orders = self.w.state.orders
        orders[v] = [*orders.get(v, ()), list(order)]

    def highest_virtual(self, v: int) -> int:
        """The highest vector in a vCPU's virtual IRR, or -1."""
        raw = int.from_bytes(self.w.memory.read(self.w.addresses.irrs[v], 0x80), "little")
        if not raw:
            return -1
        top = raw.bit_length() - 1
        return top // 128 * 32 + top % 128

    def take_virtual(self, v: int, vector: int) -> None:
        """The guest takes a virtual interrupt and handles it."""
        memory, place = self.w.memory, self.w.addresses.irrs[v] + 16 * (vector >> 5)
        memory.set_u32(place, memory.u32(place) & ~(1 << (vector & 31)))
        self.w.tally.taken(v, vector)

    def add_to_irr(self, v: int, word: int, bits: int) -> None:
        """Set 64 bits of a vCPU's virtual IRR."""
        memory, first = self.w.memory, self.w.addresses.irrs[v]
        for half in (0, 1):
            part = bits >> 32 * half & 0xFFFF_FFFF
            if part:
                place = first + 16 * (2 * word + half)
                memory.set_u32(place, memory.u32(place) | part)

    def action(self, v: int) -> int:
        """What the guest does next on a vCPU that makes it leave non-root mode; 0: nothing."""
        state = self.w.state
        orders = state.orders.get(v)
        if orders:
            order = orders.pop(0)
            if len(order) > 1:
                state.ipi_order = order[1:]
            if not orders:
                del state.orders[v]
            return order[0]
        load = self.w.workload
        if not load.busy:
            return 0
        state.random = (state.random * MULTIPLIER + INCREMENT) & U64
        draw = (state.random >> 40) % OUT_OF
        if draw < load.halt:
            return HALT
        draw -= load.halt
        if draw < load.hypercall:
            return HYPERCALL
        return SEND_IPI if draw - load.hypercall < load.ipi else 0

    def ipi_target(self, v: int) -> list[int]:
        """Whom the guest sends an interrupt, and which."""
        state, below = self.w.state, self.w.chance.below
        if state.ipi_order:
            target, state.ipi_order = state.ipi_order, []
            return target
        names = self.w.addresses.names
        domain = names[v][0]
        others = [other for other, (number, _) in names.items() if number == domain]
        return [others[below(len(others))], FIRST_GUEST_VECTOR + below(GUEST_VECTORS)]

    def arguments(self) -> list[int]:
        """What belongs to the order that the guest carries out now."""
        arguments, self.w.state.ipi_order = self.w.state.ipi_order, []
        return arguments

    def any_vcpu(self) -> int:
        """Any guest's vCPU; 0 if there is none."""
        vcpus = self.w.addresses.vcpus
        return vcpus[self.w.chance.below(len(vcpus))] if vcpus else 0

    def domain_numbers(self) -> list[int]:
        """The guests' domains, by number."""
        return sorted({number for number, _ in self.w.addresses.names.values()})


class Domains(Guests):
    """The guests of a Xen."""

    __slots__ = ()

    w: LogicContext

    def domains(self) -> list[int]:
        """The `struct domain` of every guest."""
        return [self.w.layout.domain(number) for number in self.domain_numbers()]

    def forget_domain(self, domain: int) -> None:
        """A domain's pages are freed."""
        w, state = self.w, self.w.state
        for v in w.layout.domains[domain].vcpus:
            state.events.pop(v, None)
            state.migrating.pop(v, None)
            state.orders.pop(v, None)
        w.layout.destroy_domain(domain)
        w.refresh()
