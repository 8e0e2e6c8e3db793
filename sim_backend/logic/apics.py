"""Interrupts between CPUs, and from devices to CPUs: messages to local APICs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim_backend.logic.context import CPU, LAPIC_IRR_BIT, LAPIC_ISR_BIT, Context
from sim_backend.logic.program import Actor

if TYPE_CHECKING:
    from sim_backend.logic.cpu import Cpu

BROADCAST = {False: 0xFF, True: 0xFFFF_FFFF}
LOWEST_VECTOR = 16
"""A local APIC drops a message with a lower one (SDM 3A 11.5.2 and 11.5.3: "receive illegal vector")."""


class Apics:
    """The local APICs of a machine. A hypervisor's services add what a CPU does with the interrupts that it takes."""

    __slots__ = ("w",)

    def __init__(self, w: Context) -> None:
        self.w = w

    def interrupt(self, cpu: Cpu, vector: int) -> None:
        """A CPU takes an interrupt."""
        raise NotImplementedError

    def send_ipi(self, actor: Actor, cpu: int, vector: int) -> None:
        """As Calls."""
        self.w.memory.fence()
        self._message_to(cpu, vector)

    def _message_to(self, cpu: int, vector: int) -> None:
        w = self.w
        if cpu not in w.state.online or vector < LOWEST_VECTOR:
            w.state.lost += 1
            return
        was = w.cpus[cpu].lapic.request(vector)
        if w.effect is None:
            w.effect = (CPU, cpu, (LAPIC_IRR_BIT, vector), was, 1)

    def message(self, destination: int, vector: int) -> None:
        """An interrupt message to an APIC ID; one that no CPU has is lost, and one with an illegal vector."""
        w = self.w
        if destination == BROADCAST[w.layout.config.x2apic]:
            for cpu in list(w.state.online):
                self._message_to(cpu, vector)
        elif destination in w.addresses.by_apic:
            self._message_to(w.addresses.by_apic[destination], vector)
        else:
            w.state.lost += 1

    def end_of_interrupt(self, cpu: int) -> None:
        """EOI at a CPU's local APIC."""
        vector = self.w.cpus[cpu].lapic.end_of_interrupt()
        self.w.effect = (CPU, cpu, (LAPIC_ISR_BIT, vector), 1, 0)
