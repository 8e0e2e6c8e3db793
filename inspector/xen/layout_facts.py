"""What is known of a Xen in memory before any layout of its structures is: by symbols alone."""

from __future__ import annotations

from functools import cached_property

from inspector.base.errors import UNREADABLE
from inspector.kernels.paging import PageTables
from inspector.xen.percpu import CPUS_LIMIT
from structs.frozen import frozen
from structs.xen.layout import Place, StructLayout
from structs.xen.profile import Profile

STACK_SIZE = 0x8000
POINTER = 8
NONE = (1 << 32) - 1
MASK64 = (1 << 64) - 1


@frozen
class Facts:
    """The memory of a Xen and its symbols; each fact is empty where its symbol or memory is not there."""

    symbols: Profile
    memory: PageTables

    def word(self, address: int, size: int = POINTER) -> int | None:
        """A number at a virtual address; None if it cannot be read."""
        part = self.memory.read_parts([(address & MASK64, size)])[0]
        return None if part is None else int.from_bytes(part, "little")

    def value(self, name: str, size: int = POINTER) -> int | None:
        """A variable."""
        return self.word(self.symbols.symbol(name), size) if self.symbols.has_symbol(name) else None

    def member(self, layout: StructLayout, address: int, path: str) -> int | None:
        """A member of the structure at an address; None if the layout has none or it cannot be read."""
        place = layout.members.get(path)
        return self.at(address, place) if place else None

    def at(self, address: int, place: Place) -> int | None:
        """What lies at a place in the structure at an address."""
        value = self.word(address + place.offset, place.size)
        return value if value is None or not place.bits else value >> place.bit & (1 << place.bits) - 1

    def words(self, address: int, count: int) -> list[int]:
        """Pointers one after the other; empty if they cannot be read."""
        part = self.memory.read_parts([(address, POINTER * count)])[0]
        return [int.from_bytes(part[at : at + 8], "little") for at in range(0, len(part), 8)] if part else []

    @cached_property
    def nr_cpu_ids(self) -> int:
        """How many CPUs there can be."""
        return min(self.value("nr_cpu_ids", 4) or 0, CPUS_LIMIT)

    @cached_property
    def idle_vcpus(self) -> dict[int, int]:
        """The address of each CPU's idle vCPU."""
        if not self.symbols.has_symbol("idle_vcpu"):
            return {}
        found = self.words(self.symbols.symbol("idle_vcpu"), self.nr_cpu_ids)
        return {cpu: address for cpu, address in enumerate(found) if address}

    @cached_property
    def per_cpu_offsets(self) -> dict[int, int]:
        """The offset of each CPU's per-CPU area."""
        if not all(self.symbols.has_symbol(name) for name in ("__per_cpu_offset", "__per_cpu_start")):
            return {}
        offsets = self.words(self.symbols.symbol("__per_cpu_offset"), self.nr_cpu_ids)
        start = self.symbols.symbol("__per_cpu_start")
        return {cpu: at for cpu, at in enumerate(offsets) if (start + at & MASK64) >> 47 == 0x1FFFF}

    def per_cpu(self, name: str) -> dict[int, int]:
        """The address of a per-CPU variable, by CPU."""
        symbol = f"per_cpu__{name}"
        if not self.symbols.has_symbol(symbol):
            return {}
        return {cpu: self.symbols.symbol(symbol) + at & MASK64 for cpu, at in self.per_cpu_offsets.items()}

    @cached_property
    def stack_tops(self) -> dict[int, int]:
        """Where each CPU's stack ends: `struct cpu_info` lies below it."""
        if not self.symbols.has_symbol("stack_base"):
            return {}
        bases = self.words(self.symbols.symbol("stack_base"), self.nr_cpu_ids)
        return {cpu: base + STACK_SIZE for cpu, base in enumerate(bases) if base and cpu in self.idle_vcpus}

    @cached_property
    def units(self) -> list[int]:
        """The nodes in Xen's own list of VT-d units."""
        name = "acpi_drhd_units"
        return self.list_nodes(self.symbols.symbol(name)) or [] if self.symbols.has_symbol(name) else []

    def readable(self, address: int, size: int = POINTER) -> bool:
        """Whether memory is there."""
        return address >> 47 == 0x1FFFF and self.memory.read_parts([(address, size)])[0] is not None

    def physical(self, address: int) -> int | None:
        """The physical address behind a virtual one."""
        try:
            return self.memory.translate(address)
        except UNREADABLE:
            return None

    def list_nodes(self, head: int, limit: int = 4096) -> list[int] | None:
        """The nodes of a list whose links agree in both directions; None if it is no closed list."""
        nodes: list[int] = []
        at = head
        while True:
            pair = self.words(at, 2)
            if len(pair) < 2 or not self.readable(pair[0], 16) or self.word(pair[0] + POINTER) != at:
                return None
            at = pair[0]
            if at == head:
                return nodes
            nodes.append(at)
            if len(nodes) > limit:
                return None
