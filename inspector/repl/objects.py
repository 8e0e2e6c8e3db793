"""What can be named at the prompt: the devices, entries, vCPUs and so on of this very machine, and how they are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from inspector.base.errors import UNREADABLE

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection


class Objects:
    """Names with a description each, in order, found by how they begin."""

    def __init__(self, described: Iterable[tuple[str, str]]) -> None:
        self._rows = sorted(dict(described).items())
        self._names = [name for name, _ in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def beginning(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Those that begin so."""
        for at in range(bisect_left(self._names, prefix), len(self._names)):
            if not self._names[at].startswith(prefix):
                return
            yield self._rows[at]


def entries(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The present entries of the remapping tables, by index."""
    from inspector.analysis.sources import InterruptSources
    from inspector.vtd import remapping

    sources = InterruptSources(inspection.deferred)
    for unit in inspection.deferred.units:
        table = remapping.entries_of(unit)
        for row in table.decode(table.used()):
            where = f"to {row['pda']:#x}" if "pda" in row else f"to APIC {_apic(row, unit.eime):#x}"
            words = f"{row['format']} vector {row['vector']:#x} {where}, {sources.of(unit, row)}"
            yield f"{row['index']:#06x}", words


def devices(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The devices that an entry, an MSI or the DMAR table names."""
    from inspector.vtd import remapping
    from structs.columns import columns
    from structs.irte import REMAPPED

    for unit in inspection.deferred.units:
        for scope in unit.scopes:
            if scope.sid is not None:
                yield remapping.bdf(scope.sid), "in the DMAR table"
    for unit in inspection.deferred.units:
        table = remapping.entries_of(unit)
        found = columns(REMAPPED, table.raw[table.used()], ["svt", "sid"])
        counts: dict[int, int] = {}
        for svt, sid in zip(found["svt"].tolist(), found["sid"].tolist(), strict=True):
            if svt == 1:
                counts[sid] = counts.get(sid, 0) + 1
        for sid, count in counts.items():
            yield remapping.bdf(sid), f"{count} {'entry' if count == 1 else 'entries'}"
    kinds: dict[str, list[str]] = {}
    for msi in inspection.deferred.msis:
        if msi.device is not None:
            kinds.setdefault(remapping.bdf(msi.device & 0xFFFF), []).append(f"{msi.kind} irq {msi.irq}")
    for name, words in kinds.items():
        yield name, ", ".join(words)


def registers(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The VT-d registers with their values in the first unit, or what they are."""
    from structs.registers import REGISTERS

    for register in REGISTERS:
        value = next((unit.raw_register(register.name) for unit in inspection.deferred.units), None)
        yield register.name.lower(), register.record.title if value is None else f"{value:#x}"


def units(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The VT-d units."""
    for unit in inspection.deferred.units:
        yield str(unit.index), f"registers at {unit.registers_at}"


def vcpus(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The vCPUs."""
    for vcpu in inspection.snapshot.vcpus:
        words = [vcpu.runstate]
        if vcpu.cpu is not None:
            words.append(f"CPU {vcpu.cpu}")
        if vcpu.pi:
            words.append(f"ON={vcpu.pi.on} SN={vcpu.pi.sn}")
            words.append(f"PIR {' '.join(f'{vector:#x}' for vector in vcpu.pi.pir)}" if vcpu.pi.pir else "PIR empty")
        if vcpu.blocking_list is not None:
            words.append(f"on the list of CPU {vcpu.blocking_list}")
        yield vcpu.name, ", ".join(word for word in words if word)


def descriptors(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The posted-interrupt descriptors, by physical address."""
    from inspector.vtd import remapping

    for vcpu in inspection.snapshot.vcpus:
        if vcpu.pi:
            yield f"{vcpu.pi.address:#x}", f"of {vcpu.name}"
    for unit in inspection.deferred.units:
        table = remapping.entries_of(unit)
        for row in table.decode(table.used()):
            if "pda" in row:
                yield f"{row['pda']:#x}", f"of entry {row['index']:#x}"


def cpus(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The physical CPUs, as Xen counts them."""
    for cpu in inspection.snapshot.cpus:
        runs = f"runs {cpu.current}" if cpu.current else "current vCPU not known"
        yield str(cpu.cpu), f"APIC {cpu.apic_id:#x}, {runs if cpu.online else 'offline'}"


def domains(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The domains."""
    for domain in inspection.snapshot.domains:
        devices = f", {len(domain.devices)} devices" if domain.devices else ""
        yield str(domain.domain), ("hardware-virtualised" if domain.hvm else "paravirtualised") + devices


def rules(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The rules of the audit."""
    from inspector.audit import rules as every

    for rule in every():
        yield rule.id, f"{rule.severity}: {rule.title}"


def terms(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The situations, hazards and mended bugs that have a name, and the words."""
    from inspector.analysis.glossary import entries, words

    for entry in (*entries().values(), *words().values()):
        yield entry.name, f"{entry.kind}: {entry.title}"


def scenarios(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """The scenarios that come with the simulated machine."""
    from inspector.targets.sim.scenarios import titles

    yield from titles().items()


def _apic(row: Mapping[str, object], eime: int) -> int:
    from structs.irte import dst_apic_id

    return dst_apic_id(int(str(row["dst"])), x2apic=bool(eime))


KINDS: dict[str, Callable[[Inspection], Iterator[tuple[str, str]]]] = {
    "BDF": devices,
    "DEVICE": devices,
    "DOMAIN": domains,
    "INDEX": entries,
    "REGISTER": registers,
    "UNIT": units,
    "ADDRESS": descriptors,
    "dXvY": vcpus,
    "CPU": cpus,
    "RULE": rules,
    "TERM": terms,
    "SCENARIO": scenarios,
}
"""What a command's option or argument of this name (its metavar, a part of it, or its destination) stands for."""


def known(kind: str) -> Callable[[Inspection], Objects]:
    """How the objects of a kind are read, those that can be."""

    def read(inspection: Inspection) -> Objects:
        found: list[tuple[str, str]] = []
        try:
            found.extend(KINDS[kind](inspection))
        except UNREADABLE:
            if not found:
                raise
        return Objects(found)

    return read
