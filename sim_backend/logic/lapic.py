"""A CPU's local APIC."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_backend.layout.interrupts import lapic
from sim_backend.logic.kinds import IDENTITY, NUMBER, held
from sim_backend.memory.memory import Memory

LAPIC_ISR, LAPIC_IRR = 0x100, 0x200
REGISTERS = range(0, 256, 32)
"""The first vector of each of the 8 registers that IRR and ISR have."""


@dataclass(slots=True, eq=False)
class Lapic:
    """IRR and ISR, kept in the layout's state page and here as one number each."""

    memory: Memory = field(metadata=IDENTITY)
    page: int = field(metadata=IDENTITY)
    irr: int = held(NUMBER, part="lapic")
    isr: int = held(NUMBER, part="lapic")

    @classmethod
    def of(cls, memory: Memory, cpu: int) -> Lapic:
        """A CPU's, as its page has it."""
        page = lapic(cpu)

        def load(register: int) -> int:
            return sum(memory.u32(page + register + 16 * word) << 32 * word for word in range(len(REGISTERS)))

        return cls(memory, page, load(LAPIC_IRR), load(LAPIC_ISR))

    def _store(self, register: int, vector: int, value: int) -> None:
        word = vector >> 5
        self.memory.set_u32(self.page + register + 16 * word, value >> 32 * word & 0xFFFF_FFFF)

    def store(self) -> None:
        """Have the page show all of it."""
        for vector in REGISTERS:
            self._store(LAPIC_IRR, vector, self.irr)
            self._store(LAPIC_ISR, vector, self.isr)

    def request(self, vector: int) -> int:
        """An interrupt message arrives; returns whether the vector was requested already."""
        was = self.irr >> vector & 1
        self.irr |= 1 << vector
        self._store(LAPIC_IRR, vector, self.irr)
        return was

    def deliverable(self) -> int:
        """The vector that the CPU would take now, 0 if none: the highest, if its class is above what is in service."""
        vector = self.irr.bit_length() - 1
        return vector if vector >= 0 and (not self.isr or vector >> 4 > self.isr.bit_length() - 1 >> 4) else 0

    def acknowledge(self, vector: int) -> None:
        """The CPU takes the interrupt: from IRR to ISR."""
        self.irr &= ~(1 << vector)
        self.isr |= 1 << vector
        self._store(LAPIC_IRR, vector, self.irr)
        self._store(LAPIC_ISR, vector, self.isr)

    def end_of_interrupt(self) -> int:
        """EOI: the highest interrupt in service is done; returns its vector, or -1."""
        vector = self.isr.bit_length() - 1
        if vector >= 0:
            self.isr &= ~(1 << vector)
            self._store(LAPIC_ISR, vector, self.isr)
        return vector

    def clear(self) -> None:
        """INIT: nothing is requested or in service any more."""
        self.irr = self.isr = 0
        self.store()
