"""Symmetry of the machine: identical vCPUs of a domain, and identical CPUs, trade places.

What a number means is declared where it stands: by a field of the state, by a variable of a procedure (see
`sim_backend.logic.kinds`), or, in memory, by the member of Xen's structure. Renamed are numbers that name a vCPU, a
CPU, a list's node or lock, an APIC, a vector of one vCPU, or its message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations, product

from sim_backend.explore.model import Key, Value
from sim_backend.explore.tracked import TrackedMachine
from sim_backend.explore.tracked_records import Part, parts_of
from sim_backend.layout.devices import Msi
from sim_backend.logic.context import PIR_WORDS
from sim_backend.logic.kinds import ByCpu, Held, held_fields
from sim_backend.logic.lapic import LAPIC_IRR
from sim_backend.logic.vtd_engine import ENTRY_SIZE
from sim_backend.memory.memory import PAGE
from sim_backend.scenario.bounds import Bounds
from structs.frozen import frozen

MOST = 24
"""So many renamings are used at most; with more, each state costs more than it saves."""
ALIKE = 2
"""So many CPUs are alike."""
NDST_SHIFT = 32
IRR_SIZE = 0x80
U32 = (1 << 32) - 1


def renamings(machine: TrackedMachine, bounds: Bounds) -> list[Renaming]:
    """All that turn histories of a bounded machine into other ones, but for the one that renames nothing.

    None with store buffers: what waits in one would have to be renamed as well.
    """
    if machine.store_buffers or bounds.by_number:
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


@frozen
class Renaming:
    """One renaming of vCPUs and CPUs.

    See `sim_backend.explore.model.Permutation` and `sim_backend.logic.kinds.Renamer`.
    """

    machine: TrackedMachine
    vcpus: Mapping[int, int]
    cpu_numbers: Mapping[int, int]
    messages: Mapping[tuple[int, int], tuple[int, int]]
    entries: Mapping[int, int]
    indexes: Mapping[tuple[int, int], tuple[int, int]]
    msis: Mapping[int, int]
    vectors_of: Mapping[int, Mapping[int, int]]
    names: Mapping[str, str]
    fields: Mapping[str, tuple[Mapping[str, Part], Mapping[str, Held]]]

    @classmethod
    def of(cls, machine: TrackedMachine, vcpus: Mapping[int, int], cpus: Mapping[int, int]) -> Renaming | None:
        """The renaming that does this to vCPUs and CPUs; None if their interrupts are not alike."""
        by_vcpu = _interrupts(machine, vcpus)
        messages, entries, indexes, msis = {}, {}, {}, {}
        vectors: dict[int, dict[int, int]] = {v: {} for v in vcpus}
        key = machine.context.passthrough.msi_key
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
                msis[key(msi)] = key(its)
                vectors[v][vector] = its_vector
        names, fields = _records(machine, cpus)
        return cls(machine, vcpus, cpus, messages, entries, indexes, msis, vectors, names, fields)

    @property
    def nothing(self) -> bool:
        """Whether it renames nothing."""
        return all(a == b for a, b in (*self.vcpus.items(), *self.cpu_numbers.items()))

    # Keys.

    def key(self, key: Key) -> Key:
        """As Permutation.key."""
        if isinstance(key, int):
            return self.place(key)
        name, part, *place = key
        if name in self.fields:
            if place and isinstance(self.fields[name][1][part].kind, ByCpu):
                return name, part, self.cpu(place[0])
            return (self.names.get(name, name), part, *place)
        if name == "posted":
            return name, self.vcpus[part], self.vector(part, place[0])
        return key

    def _areas(self) -> Iterator[tuple[int, int, int]]:
        machine, at = self.machine, self.machine.context.addresses
        physical = [(v, PAGE, other) for v, other in self.vcpus.items()]
        physical += [(at.irrs[v] - LAPIC_IRR, PAGE, at.irrs[other] - LAPIC_IRR) for v, other in self.vcpus.items()]
        areas = machine.all_areas
        for cpu, other in self.cpu_numbers.items():
            if cpu in areas and other in areas:
                physical.append((areas[cpu], machine.layout.size("vmx_pi_blocking_vcpu"), areas[other]))
            physical.append((at.idle[cpu], PAGE, at.idle[other]))
            physical.append((at.softirqs[cpu], 4, at.softirqs[other]))
        yield from physical
        virtual = machine.context.virtual
        yield from ((virtual(start), size, virtual(other)) for start, size, other in physical)

    # Values.

    def value(self, key: Key, value: Value) -> Value:
        """As Permutation.value."""
        if isinstance(key, int):
            return self._cell(key, value)
        name, part, *place = key
        if name not in self.fields:
            return value
        parts, held = self.fields[name]
        if place:
            return held[part].kind.item.renamed(value, self)  # type: ignore[attr-defined]
        fields = parts[part]
        if len(fields) == 1:
            return fields[0].kind.renamed(value, self)
        return tuple(each.kind.renamed(item, self) for each, item in zip(fields, value, strict=True))

    # What numbers mean: as Renamer.

    def place(self, address: int) -> int:
        """Where something stands in the other one's place, physical or virtual; itself if it belongs to nobody."""
        for start, size, other in self._areas():
            if start <= address < start + size:
                return address - start + other
        return address

    def cpu(self, number: int) -> int:
        """The other CPU."""
        return self.cpu_numbers.get(number, number)

    def cpus(self, mask: int) -> int:
        """The other CPUs, a bit each."""
        return sum(1 << other for cpu, other in self.cpu_numbers.items() if mask >> cpu & 1)

    def apic(self, number: int) -> int:
        """The APIC ID of the other CPU."""
        apics = self.machine.layout.config.apics
        return next((apics[other] for cpu, other in self.cpu_numbers.items() if apics[cpu] == number), number)

    def control(self, word: int) -> int:
        """A descriptor's control word, with NDST naming the other CPU."""
        low, ndst = word & U32, word >> NDST_SHIFT
        destination = self.machine.base.context.destination
        for cpu, other in self.cpu_numbers.items():
            if ndst == destination(cpu):
                return low | destination(other) << NDST_SHIFT
        return word

    def vector(self, v: int, vector: int) -> int:
        """The vector of the other vCPU's interrupt."""
        return self.vectors_of[v].get(vector, vector) if v in self.vectors_of else vector

    def vectors(self, v: int, first: int, bits: int) -> int:
        """64 bits, one a vector, from the vector `first` on."""
        if v not in self.vectors_of:
            return bits
        pairs = self.vectors_of[v].items()
        moved = {vector - first: other - first for vector, other in pairs if 0 <= vector - first < 64}
        kept = bits
        for bit in moved:
            kept &= ~(1 << bit)
        return kept | sum(1 << other for bit, other in moved.items() if bits >> bit & 1)

    def message(self, address: int, data: int) -> tuple[int, int]:
        """The message of the other vCPU's interrupt."""
        return self.messages.get((address, data), (address, data))

    def entry(self, entry: int) -> int:
        """The entry of the other vCPU's interrupt."""
        return self.entries.get(entry, entry)

    def index(self, unit: int, index: int) -> tuple[int, int]:
        """Where that is."""
        return self.indexes.get((unit, index), (unit, index))

    def msi(self, key: int) -> int:
        """The other vCPU's MSI."""
        return self.msis.get(key, key)

    # Memory.

    def _cell(self, address: int, value: int) -> int:
        machine, o, at = self.machine, self.machine.o, self.machine.context.addresses
        for cpu, idle in enumerate(at.idle):
            if 0 <= address - idle < PAGE:
                return self._numbers(address - idle, value, self.cpu(cpu))
        for v in self.vcpus:
            if 0 <= address - v < PAGE:
                return self._member(v, address - v, value)
            register = address - at.irrs[v]
            if 0 <= register < IRR_SIZE:
                # Registers are 16 bytes apart and 32 vectors wide.
                return self.vectors(v, register // 16 * 32, value)
        for area in machine.all_areas.values():
            if area <= address < area + machine.layout.size("vmx_pi_blocking_vcpu"):
                return self.place(value) if address - area - o.list in (o.list_next, o.list_prev) else value
        return value

    def _member(self, v: int, at: int, value: int) -> int:
        o = self.machine.o
        if at in (o.node + o.list_next, o.node + o.list_prev, o.node_lock, o.regs):
            return self.place(value)
        if o.pir <= at < o.pir + 8 * PIR_WORDS:
            return self.vectors(v, 8 * (at - o.pir), value)
        if at == o.control:
            return self.control(value)
        return self._numbers(at, value, self.machine.names[self.vcpus[v]][1])

    def _numbers(self, at: int, value: int, vcpu_id: int) -> int:
        """A member of any vCPU that holds CPU numbers, or its own number."""
        o = self.machine.o
        for member in (o.processor, o.dirty_cpu, o.vcpu_id):
            if at <= member < at + 8:
                shift = 8 * (member - at)
                new = vcpu_id if member == o.vcpu_id else self.cpu(value >> shift & U32)
                value = value & ~(U32 << shift) | new << shift
        return value


def _interrupts(machine: TrackedMachine, vcpus: Mapping[int, int]) -> dict[int, list[tuple[Msi, int]]]:
    """By vCPU, the MSIs that go to it, with their vectors."""
    found: dict[int, list[tuple[Msi, int]]] = {v: [] for v in vcpus}
    passthrough = machine.base.context.passthrough
    for device in machine.layout.devices.values():
        for msi in device.msis:
            for v, vector in passthrough.binding_of(passthrough.msi_key(msi)):
                if v in found:
                    found[v].append((msi, vector))
    return found


def _records(
    machine: TrackedMachine, cpus: Mapping[int, int]
) -> tuple[dict[str, str], dict[str, tuple[dict[str, Part], dict[str, Held]]]]:
    """What a record is called in the other CPU's place; and by record, its parts and fields by name."""
    base = machine.base
    fields = {
        name: (
            {part[0].part: part for part in parts_of(type(record))},
            {each.name: each for each in held_fields(type(record))},
        )
        for name, record in base.records.items()
    }
    of_cpu = {id(each): cpu.cpu for cpu in base.cpus for each in (cpu, cpu.lapic)}
    by_place = {(type(record), of_cpu.get(id(record))): name for name, record in base.records.items()}
    names = {
        name: by_place[type(record), cpus[of_cpu[id(record)]]]
        for name, record in base.records.items()
        if id(record) in of_cpu
    }
    return names, fields


def _entry(machine: TrackedMachine, msi: Msi) -> int:
    place = machine.layout.irte(msi.unit, msi.index)
    return int.from_bytes(machine.base.memory.read(place, ENTRY_SIZE), "little")
