"""A laid out Linux with KVM as a target: memory, and CPUs that are idle in the kernel."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.base.errors import NotReadable
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu, Target
from sim_backend.layout.interrupts import DEVICE_STATE
from sim_backend.layout.kvm.layout import KvmLayout
from sim_backend.memory.errors import SimError


class Laid(Target):
    """A layout's memory, as it is at each read; `guests` are CPUs that are in guest mode."""

    description = "a laid out Linux"

    def __init__(self, layout: KvmLayout) -> None:
        self.layout = layout
        self.lost_pages: set[int] = set()

    def read(self, address: int, size: int) -> bytes:
        """As Target.read."""
        if any(page in self.lost_pages for page in range(address >> 12, (address + size - 1 >> 12) + 1)):
            raise NotReadable(address, size, "it is not there")
        try:
            if address < DEVICE_STATE:
                return self.layout.memory.read(address, size)
        except SimError:
            pass
        raise NotReadable(address, size, "it is not there")

    def memory(self) -> Sequence[Range]:
        """RAM, and the units' registers."""
        registers = [Range(unit.registers, unit.registers + 0x1000) for unit in self.layout.units]
        return [*(Range(start, start + size) for start, size in self.layout.memory.ram()), *registers]

    def cpus(self) -> Sequence[Cpu]:
        """All of them idle."""
        return [Cpu(cpu, self.registers(cpu)) for cpu in range(self.layout.config.cpus)]

    def registers(self, cpu: int) -> dict[str, int]:
        """Those of an idle CPU."""
        return {
            "cr3": self.layout.root,
            "cr4": 0x20,
            "rip": self.layout.profile.symbol("default_idle"),
            "rsp": 0,
            "cs": 0x10,
            "eflags": 0x246,
            "gs_base": self.layout.virtual(self.layout.area(cpu)),
        }
