"""What Xen says of itself while it boots: version, APIC mode, features, and with `iommu=verbose` the DMAR table and
each unit's capabilities (`acpi_parse_dmar`, `iommu_alloc`, `vtd_setup`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import Damage
from inspector.targets.recorded.console.faults import SOURCE
from inspector.targets.recorded.console.key import Key, always_whole, never
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

VERSION = re.compile(r"\s*Xen version (\d{1,10}\.\d{1,10}\S*)")
BUILD_ID = re.compile(r"build-id: ([0-9a-f]{8,})")
FEATURE = re.compile(r"Intel VT-d (Interrupt Remapping|Posted Interrupt|Queued Invalidation) (not )?enabled")
APIC_DRIVER = re.compile(r"(?:Using|Switched to|Overriding) APIC driver (?:with )?(\w+)")
NO_X2APIC = re.compile(r"Not enabling x2APIC")
IOAPIC = re.compile(
    r"IOAPIC\[(\d{1,10})\]: apic_id (\d{1,10}), version (\d{1,10}), address (?:0x)?([0-9a-f]{1,16}),"
    r" GSI (\d{1,10})-(\d{1,10})"
)
WIDTH = re.compile(rf"{SOURCE}Host address width (\d{{1,10}})")
FOUND = re.compile(rf"{SOURCE}found ACPI_DMAR_(\w+):?")
ADDRESS = re.compile(rf"{SOURCE}\s*(?:dmaru|drhd)->address = ([0-9a-f]{{1,16}})")
CAPS = re.compile(rf"{SOURCE}cap = ([0-9a-f]{{1,16}}) ecap = ([0-9a-f]{{1,16}})")
SCOPE = re.compile(
    rf"{SOURCE}\s*(bridge|endpoint|IOAPIC|MSI HPET): (?:([0-9a-f]{{4}}):)?([0-9a-f]{{2}}):([01][0-9a-f])\.([0-7])"
    r"(?: start=([0-9a-f]{1,16}) sec=([0-9a-f]{1,16}) sub=([0-9a-f]{1,16}))?"
)
FLAGS = re.compile(rf"{SOURCE}\s*flags: (INCLUDE_ALL|ALL_PORTS)")
RMRR = re.compile(
    rf"{SOURCE}\s*RMRR(?: region: base_addr ([0-9a-f]{{1,16}}) end_addr(?:ess)? ([0-9a-f]{{1,16}})|"
    r": \[([0-9a-f]{1,16}),([0-9a-f]{1,16})\])"
)
ATSR = re.compile(rf"{SOURCE}\s*atsru->all_ports: ([0-9a-f]{{1,16}})")
RHSA = re.compile(rf"{SOURCE}\s*rhsau->address: ([0-9a-f]{{1,16}}) rhsau->proximity_domain: ([0-9a-f]{{1,16}})")
SATC = re.compile(rf"{SOURCE}\s*ATC required: (\d{{1,10}})")
PATTERNS = (
    VERSION,
    BUILD_ID,
    FEATURE,
    APIC_DRIVER,
    NO_X2APIC,
    IOAPIC,
    WIDTH,
    FOUND,
    ADDRESS,
    CAPS,
    SCOPE,
    FLAGS,
    RMRR,
    ATSR,
    RHSA,
    SATC,
)

KINDS = {"endpoint": 1, "bridge": 2, "IOAPIC": 3, "MSI HPET": 4}
"""A scope's type in the DMAR table."""


@frozen
class ScopeFacts:
    """A device scope: its kind (`KINDS`), segment << 16 | source-id, and a bridge's secondary and subordinate bus."""

    kind: int
    sbdf: int
    buses: tuple[int, int] | None = None


@dataclass
class StructureFacts:
    """A structure of the DMAR table: `DRHD`, `RMRR`, `ATSR`, `RHSA`, `SATC`.

    `base` and `limit`: of a unit's registers or of reserved memory; `all` is INCLUDE_ALL or ALL_PORTS.
    """

    kind: str
    base: int | None = None
    limit: int | None = None
    all: bool = False
    cap: int | None = None
    ecap: int | None = None
    proximity: int | None = None
    scopes: list[ScopeFacts] = field(default_factory=list)


@frozen
class IoApicFacts:
    """An IO-APIC of the MADT: Xen's number, its APIC id, the range of its GSIs."""

    number: int
    id: int
    address: int
    gsis: range


@dataclass
class Boot:
    """What boot messages say; None is what none says."""

    version: str | None = None
    build_id: str | None = None
    intremap: bool | None = None
    intpost: bool | None = None
    x2apic: bool | None = None
    width: int | None = None
    structures: list[StructureFacts] = field(default_factory=list)
    ioapics: list[IoApicFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)

    @property
    def units(self) -> list[StructureFacts]:
        """The VT-d units, in the order of the table; that is the order of Xen's numbers."""
        return [structure for structure in self.structures if structure.kind == "DRHD" and structure.base is not None]


def read(lines: Sequence[Line]) -> Boot:
    """All of it."""
    boot = Boot()
    for line in lines:
        for take in (_machine, _structure):
            if take(boot, line.text):
                break
    return boot


KEY = Key("boot", re.compile("|".join(f"(?:{p.pattern})" for p in PATTERNS)), never, read, always_whole)


def _machine(boot: Boot, text: str) -> bool:
    if found := VERSION.match(text):
        boot.version = found[1]
    elif found := BUILD_ID.match(text):
        boot.build_id = found[1]
    elif found := FEATURE.match(text):
        if found[1] == "Interrupt Remapping":
            boot.intremap = not found[2]
        elif found[1] == "Posted Interrupt":
            boot.intpost = not found[2]
    elif found := APIC_DRIVER.match(text):
        boot.x2apic = found[1].startswith("x2apic")
    elif NO_X2APIC.match(text):
        boot.x2apic = False
    elif found := IOAPIC.match(text):
        gsis = range(int(found[5]), int(found[6]) + 1)
        boot.ioapics.append(IoApicFacts(int(found[1]), int(found[2]), int(found[4], 16), gsis))
    elif found := WIDTH.match(text):
        boot.width, boot.structures = int(found[1]), []
    else:
        return False
    return True


def _structure(boot: Boot, text: str) -> bool:
    if found := FOUND.match(text):
        boot.structures.append(StructureFacts(found[1]))
    elif found := ADDRESS.match(text):
        _unit(boot, int(found[1], 16))
    elif not boot.structures:
        return False
    else:
        _part(boot.structures[-1], text)
    return True


def _unit(boot: Boot, base: int) -> None:
    """A unit's address is printed twice, before its own structure's line is known to be lost or not."""
    if boot.structures and boot.structures[-1].kind == "DRHD" and boot.structures[-1].base in (None, base):
        boot.structures[-1].base = base
    else:
        boot.structures.append(StructureFacts("DRHD", base))


def _part(structure: StructureFacts, text: str) -> None:
    if found := CAPS.match(text):
        structure.cap, structure.ecap = int(found[1], 16), int(found[2], 16)
    elif found := SCOPE.match(text):
        structure.scopes.append(_scope(found))
    elif FLAGS.match(text):
        structure.all = True
    elif found := RMRR.match(text):
        base, limit = (found[1], found[2]) if found[1] else (found[3], found[4])
        structure.base, structure.limit = int(base, 16), int(limit, 16)
    elif found := ATSR.match(text):
        structure.all = found[1] != "0"
    elif found := RHSA.match(text):
        structure.base, structure.proximity = int(found[1], 16), int(found[2], 16)


def _scope(found: re.Match[str]) -> ScopeFacts:
    segment = int(found[2] or "0", 16)
    sid = int(found[3], 16) << 8 | int(found[4], 16) << 3 | int(found[5])
    buses = (int(found[7], 16), int(found[8], 16)) if found[7] else None
    return ScopeFacts(KINDS[found[1]], segment << 16 | sid, buses)
