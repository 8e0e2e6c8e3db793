"""A machine's parts, and how they are named."""

from __future__ import annotations

from sim_backend.layout.layout import Layout
from sim_backend.logic.context import DEVICE, DOMAIN, ENTRY, UNIT, VCPU, LogicContext, Offsets
from sim_backend.logic.cpu import Cpu
from sim_backend.logic.state import State
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import Memory
from sim_backend.memory.naming import VcpuName, device_name, parse_vcpu
from sim_backend.scenario.scenario import parse_bdf


class Parts:
    """What a machine is made of.

    Attributes:
        context: the parts, as the logic sees them.
    """

    __slots__ = ("context",)

    context: LogicContext

    @property
    def layout(self) -> Layout:
        """How Xen's memory is laid out; what others see of memory is its `memory`."""
        return self.context.layout

    @property
    def memory(self) -> Memory:
        """Memory as procedures see it: everything that Xen or the hardware keeps is there."""
        return self.context.memory

    @property
    def state(self) -> State:
        """What is neither in memory nor an actor's."""
        return self.context.state

    @property
    def o(self) -> Offsets:
        """Where members lie in Xen's structures."""
        return self.context.o

    @property
    def cpus(self) -> list[Cpu]:
        """The physical CPUs."""
        return self.context.cpus

    @property
    def names(self) -> dict[int, tuple[int, int]]:
        """By `struct vcpu` of a guest, its domain and number."""
        return self.context.addresses.names

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
        return (
            f"idle {self.context.addresses.idle.index(v)}"
            if v in self.context.addresses.idle
            else f"freed vCPU at {v:#x}"
        )

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
        if sid not in self.context.devices:
            known = ", ".join(map(device_name, self.context.devices)) or "none"
            raise SimError(f"there is no device {device_name(sid)}; there are: {known}")
        return sid
