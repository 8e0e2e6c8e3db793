"""Symmetry of the machine: identical vCPUs of a domain, and identical CPUs, trade places.

What a number means is told by where it stands: a member of `struct vcpu`, a variable of a frame, an attribute. Renamed
are numbers that name a vCPU, a CPU, a list's node or lock, an APIC, a vector of one vCPU, or its message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from sim_backend.explore.freeze import TABLE
from sim_backend.explore.model import Key, Value
from sim_backend.logic.context import PIR_WORDS
from sim_backend.logic.pi import IRR, vmx_vcpu_block
from sim_backend.logic.pi.block import CPU_NUMBER, lock_list, nv_first
from sim_backend.logic.program import BY_NUMBER, FIRST, PC, PROCEDURE
from sim_backend.logic.vtd_engine import ENTRY_SIZE, interrupt_request
from sim_backend.memory.memory import PAGE

MOST = 24
"""So many renamings are used at most; with more, each state costs more than it saves."""
ALIKE = 2
"""So many CPUs are alike."""
CPU_VARIABLES = frozenset(("cpu", "new_cpu"))
CONTROL_VARIABLES = frozenset(("seen", "old", "new"))
ADDRESS_VARIABLES = frozenset(("v", "node", "next", "prev", "lock", "p", "n"))
NO_CPU_YET = (lock_list.pc, lock_list.pc + 1, nv_first.pc)
"""Where `vmx_vcpu_block` has not yet noted its CPU."""
NDST_SHIFT = 32
IRR_SIZE = 0x80
U32 = (1 << 32) - 1
SPOILERS = ("attaches", "detaches", "offlines", "onlines", "retargets", "nmis", "swaps", "saves", "suspends")
"""Events that treat vCPUs or CPUs one after the other, by number."""


def renamings(machine: Any) -> list[Renaming]:
    """All that turn histories of a bounded machine into other ones, but for the one that renames nothing.

    None with store buffers: what waits in one would have to be renamed as well.
    """
    if machine.store_buffers or any(getattr(machine.bounds, name) for name in SPOILERS):
        return []
    domains: dict[int, list[int]] = {}
    for v, (domain, _) in machine.names.items():
        domains.setdefault(domain, []).append(v)
    of_vcpus = [list(permutations(vcpus)) for vcpus in domains.values()]
    vcpus = [v for group in domains.values() for v in group]
    cpus = range(len(machine.cpus))
    # Among three CPUs that could take a vCPU over, the scheduler prefers the one with the lowest number.
    of_cpus = list(permutations(cpus)) if len(cpus) <= ALIKE else [tuple(cpus)]
    made = []
    for orders in product(*of_vcpus):
        renamed = dict(zip(vcpus, (v for order in orders for v in order), strict=True))
        for order in of_cpus:
            if any((cpu in machine.all_areas) != (other in machine.all_areas) for cpu, other in enumerate(order)):
                continue
            renaming = Renaming.of(machine, renamed, dict(zip(cpus, order, strict=True)))
            if renaming is not None and not renaming.nothing:
                made.append(renaming)
    return made if len(made) < MOST else []


@dataclass(frozen=True)
class Renaming:
    """One renaming of vCPUs and CPUs. See `sim_backend.explore.model.Permutation`."""

    machine: Any
    vcpus: Mapping[int, int]
    cpus: Mapping[int, int]
    messages: Mapping[tuple[int, int], tuple[int, int]]
    entries: Mapping[int, int]
    indexes: Mapping[tuple[int, int], tuple[int, int]]
    vectors: Mapping[int, Mapping[int, int]]

    @classmethod
    def of(cls, machine: Any, vcpus: Mapping[int, int], cpus: Mapping[int, int]) -> Renaming | None:
        """The renaming that does this to vCPUs and CPUs; None if their interrupts are not alike."""
        by_vcpu: dict[int, list[tuple[Any, int]]] = {v: [] for v in vcpus}
        for device in machine.layout.devices.values():
            for msi in device.msis:
                for v, vector in machine.base.bindings.get(machine.msi_key(msi), ()):
                    if v in by_vcpu:
                        by_vcpu[v].append((msi, vector))
        messages, entries, indexes = {}, {}, {}
        vectors: dict[int, dict[int, int]] = {v: {} for v in vcpus}
        for v, other in vcpus.items():
            ours, theirs = by_vcpu[v], by_vcpu[other]
            if [msi.sid for msi, _ in ours] != [msi.sid for msi, _ in theirs]:
                return None
            for (msi, vector), (its, its_vector) in zip(ours, theirs, strict=True):
                if vector // 32 != its_vector // 32:
                    return None
                messages[msi.address, msi.data] = its.address, its.data
                indexes[msi.unit, msi.index] = its.unit, its.index
                entries[_entry(machine, msi)] = _entry(machine, its)
                vectors[v][vector] = its_vector
        return cls(machine, vcpus, cpus, messages, entries, indexes, vectors)

    @property
    def nothing(self) -> bool:
        """Whether it renames nothing."""
        return all(a == b for a, b in (*self.vcpus.items(), *self.cpus.items()))

    # Keys.

    def key(self, key: Key) -> Key:
        """As Permutation.key."""
        if isinstance(key, int):
            return self._address(key)
        if isinstance(key, str):
            return self._actor(key)
        kind, *rest = key
        if kind in ("lapic", "curr"):
            return kind, self.cpus[rest[0]]
        if kind == "where":
            return kind, self._actor(rest[0])
        if kind == "posted":
            v, vector = rest
            return kind, self.vcpus[v], self.vectors[v].get(vector, vector)
        return key

    def _actor(self, name: str) -> str:
        for cpu, actor in enumerate(self.machine.cpus):
            if actor.name == name:
                return str(self.machine.cpus[self.cpus[cpu]].name)
        return name

    def _address(self, address: int) -> int:
        """Where something stands in the other one's place, physical or virtual; itself if it belongs to nobody."""
        for start, size, other in self._areas():
            if start <= address < start + size:
                return address - start + other
        return address

    def _areas(self) -> Iterator[tuple[int, int, int]]:
        machine = self.machine
        physical = [(v, PAGE, other) for v, other in self.vcpus.items()]
        physical += [(machine.irrs[v] - IRR, PAGE, machine.irrs[other] - IRR) for v, other in self.vcpus.items()]
        areas = machine.all_areas
        for cpu, other in self.cpus.items():
            if cpu in areas and other in areas:
                physical.append((areas[cpu], machine.layout.size("vmx_pi_blocking_vcpu"), areas[other]))
            physical.append((machine.idle[cpu], PAGE, machine.idle[other]))
            physical.append((machine.softirqs[cpu], 4, machine.softirqs[other]))
        yield from physical
        virtual = machine.virtual
        yield from ((virtual(start), size, virtual(other)) for start, size, other in physical)

    # Values.

    def value(self, key: Key, value: Value) -> Value:
        """As Permutation.value."""
        changed: Any = value
        if isinstance(key, int):
            return self._cell(key, changed)
        if isinstance(key, str):
            if key in self._attributes:
                return self._attributes[key](changed)
            return self._doing(changed)
        kind = key[0]
        if kind == "curr":
            return self._address(changed)
        if kind == "where":
            return (self._address(changed[0]), changed[1])
        return changed

    def _cell(self, address: int, value: int) -> int:
        machine, o = self.machine, self.machine.o
        for cpu, idle in enumerate(machine.idle):
            if 0 <= address - idle < PAGE:
                return self._numbers(address - idle, value, self.cpus[cpu])
        for v in self.vcpus:
            if 0 <= address - v < PAGE:
                return self._member(v, address - v, value)
            register = address - machine.irrs[v]
            if 0 <= register < IRR_SIZE:
                # Registers are 16 bytes apart and 32 vectors wide.
                return self._bits(v, register // 16 * 32, value)
        for area in machine.all_areas.values():
            if area <= address < area + machine.layout.size("vmx_pi_blocking_vcpu"):
                return self._address(value) if address - area - o.list in (o.list_next, o.list_prev) else value
        return value

    def _member(self, v: int, at: int, value: int) -> int:
        o = self.machine.o
        if at in (o.node + o.list_next, o.node + o.list_prev, o.node_lock, o.regs):
            return self._address(value)
        if o.pir <= at < o.pir + 8 * PIR_WORDS:
            return self._bits(v, 8 * (at - o.pir), value)
        if at == o.control:
            return self._control(value)
        return self._numbers(at, value, self.machine.names[self.vcpus[v]][1])

    def _numbers(self, at: int, value: int, vcpu_id: int) -> int:
        """A member of any vCPU that holds CPU numbers, or its own number."""
        o = self.machine.o
        for member in (o.processor, o.dirty_cpu, o.vcpu_id):
            if at <= member < at + 8:
                shift = 8 * (member - at)
                old = value >> shift & U32
                new = vcpu_id if member == o.vcpu_id else self.cpus.get(old, old)
                value = value & ~(U32 << shift) | new << shift
        return value

    def _bits(self, v: int, first: int, value: int) -> int:
        """64 bits, one a vector, from the vector `first` on."""
        moved = {vector - first: other - first for vector, other in self.vectors[v].items() if 0 <= vector - first < 64}
        kept = value
        for bit in moved:
            kept &= ~(1 << bit)
        return kept | sum(1 << other for bit, other in moved.items() if value >> bit & 1)

    def _control(self, value: int) -> int:
        if not value:
            # A variable that has not been set; no descriptor's word is 0.
            return value
        low, ndst = value & U32, value >> NDST_SHIFT
        for cpu, other in self.cpus.items():
            if ndst == self.machine.base.destination(cpu):
                return low | int(self.machine.base.destination(other)) << NDST_SHIFT
        return value

    def _doing(self, value: Any) -> Any:
        stack, result, in_irq, irqs, queue = value
        frames = tuple(map(self._frame, queue)) if queue and isinstance(queue[0], tuple) else queue
        return (tuple(map(self._frame, stack)), result, in_irq, irqs, frames)

    def _frame(self, frame: tuple[int, ...]) -> tuple[int, ...]:
        if frame[PROCEDURE] == interrupt_request.number:
            return self._request(frame)
        names = BY_NUMBER[frame[PROCEDURE]].variables
        v = frame[FIRST] if names[:1] == ("v",) else 0
        if frame[PROCEDURE] == vmx_vcpu_block.number and frame[PC] in NO_CPU_YET:
            names = (*names[: CPU_NUMBER - FIRST], "", *names[CPU_NUMBER - FIRST + 1 :])
        variables = [self._variable(name, value, v) for name, value in zip(names, frame[FIRST:], strict=True)]
        return (*frame[:FIRST], *variables)

    def _variable(self, name: str, value: int, v: int) -> int:
        if name in CPU_VARIABLES:
            return self.cpus.get(value, value)
        if name in ADDRESS_VARIABLES:
            return self._address(value)
        if name in CONTROL_VARIABLES:
            return self._control(value)
        if name.startswith("pir"):
            return self._bits(v, 64 * int(name.removeprefix("pir")), value)
        if name == "vector" and v:
            return self.vectors[v].get(value, value)
        return value

    def _request(self, frame: tuple[int, ...]) -> tuple[int, ...]:
        head, (sid, address, data, unit, entry, vector, dst) = frame[:FIRST], frame[FIRST:]
        address, data = self.messages.get((address, data), (address, data))
        apics = self.machine.layout.config.apics
        for cpu, other in self.cpus.items():
            if dst == apics[cpu] and vector:
                return (*head, sid, address, data, unit, self.entries.get(entry, entry), vector, apics[other])
        return (*head, sid, address, data, unit, self.entries.get(entry, entry), vector, dst)

    @property
    def _attributes(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "runq": lambda queues: self._by_cpu([tuple(map(self._address, queue)) for queue in queues]),
            "scheduled": lambda chosen: self._by_cpu(list(map(self._address, chosen))),
            "tasklets": lambda counts: self._by_cpu(list(counts)),
            "dpci": lambda queues: self._by_cpu(list(queues)),
            "flush_mask": lambda mask: sum(1 << other for cpu, other in self.cpus.items() if mask >> cpu & 1),
            "events": lambda table: self._table(table, self._address, lambda value: value),
            "orders": lambda table: self._table(table, self._address, lambda value: value),
            "migrating": lambda table: self._table(table, self._address, self.cpus.__getitem__),
            "iec": lambda table: self._table(
                table, lambda at: self.indexes.get(at, at), lambda entry: self.entries.get(entry, entry)
            ),
            "ipi_order": lambda order: tuple(map(self._address, order[:1])) + tuple(order[1:]),
            **dict.fromkeys(
                ("flush_locked", "leaving", "lost", "crashed", "next_fault", "owners"), lambda value: value
            ),
            **dict.fromkeys(("bindings", "online", "active", "areas"), lambda value: value),
        }

    def _by_cpu(self, values: list[Any]) -> tuple[Any, ...]:
        new = list(values)
        for cpu, other in self.cpus.items():
            new[other] = values[cpu]
        return tuple(new)

    def _table(self, table: Any, key: Callable[[Any], Any], value: Callable[[Any], Any]) -> Any:
        return (TABLE, *sorted((key(name), value(item)) for name, item in table[1:]))


def _entry(machine: Any, msi: Any) -> int:
    place = machine.layout.irte(msi.unit, msi.index)
    return int.from_bytes(machine.base.memory.read(place, ENTRY_SIZE), "little")
