"""What the posted-interrupt core logic calls outside of itself."""

from __future__ import annotations

from typing import Protocol

from sim_backend.logic.program import Actor


class Calls(Protocol):
    """Services of the machine that the procedures of `sim_backend.logic.pi` ask for."""

    def softirq_pending(self, cpu: int) -> int:
        """A CPU's pending softirqs."""

    def test_and_set_softirq(self, cpu: int, number: int) -> bool:
        """Make a softirq pending with no interrupt sent; whether it was already."""

    def raise_softirq(self, actor: Actor, number: int) -> None:
        """Make a softirq pending on the actor's own CPU."""

    def cpu_raise_softirq(self, actor: Actor, cpu: int, number: int) -> None:
        """Make a softirq pending on a CPU, and have it look."""

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        """Send an interrupt to a CPU."""

    def ack_apic_irq(self, actor: Actor) -> None:
        """Tell the CPU's local APIC that its highest interrupt in service has been handled."""

    def count_irq(self, actor: Actor) -> None:
        """Add one to the CPU's `irq_count`."""

    def vcpu_wake(self, actor: Actor, vcpu: int) -> None:
        """Have the scheduler run a vCPU again, if nothing else keeps it from it."""

    def domain_pause(self, actor: Actor, domain: int) -> None:
        """Stop all vCPUs of a domain and wait until they have."""

    def domain_unpause(self, actor: Actor, domain: int) -> None:
        """Undo one `domain_pause`."""

    def flush_iec(self, actor: Actor, unit: int, index: int) -> None:
        """Invalidate one entry of a unit's interrupt entry cache and wait until that is done."""
