"""A log of Xen's console as a target: what its debug keys `V`, `M`, `i` and `q`, and its boot messages, tell.

Lines of Xen's may have any prefix and timestamp, and others may stand between them. Where a key was pressed more than
once, the last answer counts. What is not in the text is not known: no key prints a descriptor or a list.

Sources of the formats: `vtd_dump_iommu_info`, `dump_msi`, `dump_irqs`, `dump_domains`, `dump_vcpu`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from inspector.base.errors import TargetError
from inspector.model.absence import Absence, unreadable
from inspector.model.interrupts import Msi, Pin
from inspector.model.snapshot import MARKER, Domain, Snapshot, Vcpu
from inspector.model.vtd import IOAPIC, Platform, VtdUnit
from inspector.targets.recorded.recorded import RecordedTarget
from structs.irte import POSTED, REMAPPED, dst_reserved_bits

SIZE_LIMIT = 256 << 20
MARK = b"(XEN)"
"""What a file must contain to be such a log."""

LINE = re.compile(r"\(XEN\) ?(?:\[[^\]]*\] ?)?(.*)")
DAMAGED_SHOWN = 5
NONE = (1 << 32) - 1
"""The remapping index of an MSI whose index is not known."""

REMAPPED_ROW = ("svt", "sq", "sid", "vector", "avail", "fpd", "dst", "dlm", "tm", "rh", "dm", "p")
POSTED_ROW = ("svt", "sq", "sid", "vector", "avail", "fpd", "pda", "urg", "p")
SIGN = 0xFFFFFFFF << 32
"""Bits 63:32 of a PDA whose bit 31 is set, as `V` prints it: it shifts a 26-bit field as a signed int."""

ALWAYS_BELOW_4G = (4, 11)
"""The last version in which every struct vcpu, and with it every descriptor, lies below 4 GiB."""


def console_log(path: str | os.PathLike[str]) -> RecordedTarget:
    """What a log tells. Raises TargetError if it cannot be read, or no key's answer is in it."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise TargetError(f"{name} cannot be read: {error.strerror}") from None
    if len(raw) > SIZE_LIMIT:
        raise TargetError(f"{name} is larger than {SIZE_LIMIT >> 20} MiB; cut out the part with the debug keys' output")
    log = _Log()
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        if match := LINE.search(line):
            log.line(number, match[1].rstrip())
    if not log.understood:
        raise TargetError(f"{name} has lines of Xen's, but none of its debug keys V, M, i or q, and no boot messages")
    return RecordedTarget(f"console log {name}", log.snapshot(f"console log {name}"), name)


@dataclass
class _Unit:
    """A unit, as far as `V` has told of it."""

    index: int
    cap_pi: int | None = None
    size: int = 0
    in_use: int | None = None
    entries: dict[int, bytes] = field(default_factory=dict)


class _Log:
    """What was understood so far."""

    def __init__(self) -> None:
        self.understood = 0
        self.facts: dict[str, bool | int | str] = {}
        self.units: dict[int, _Unit] = {}
        self.unit: _Unit | None = None
        self.ioapic: int | None = None
        self.pins: dict[tuple[int, int], Pin] = {}
        self.msis: dict[int, Msi] = {}
        self.domains: dict[int, Domain] = {}
        self.domain = -1
        self.vcpus: dict[str, Vcpu] = {}
        self.vcpu: str | None = None
        self.destinations: set[int] = set()
        self.damaged: list[Absence] = []
        self.signed: list[tuple[int, int]] = []

    def line(self, number: int, text: str) -> None:
        """Take in a line of Xen's, less its prefix."""
        for pattern, take in PATTERNS:
            if match := pattern.match(text):
                try:
                    take(self, match)
                    self.understood += 1
                except (ValueError, IndexError):
                    why = f"line {number} is damaged, and left out: {text[:100]!r}"
                    self.damaged.append(unreadable(f"line {number}", why))
                return

    def snapshot(self, target: str) -> Snapshot:
        """All of it."""
        version = str(self.facts["version"]) if "version" in self.facts else None
        made = Snapshot(
            target,
            version=version,
            intremap=self._flag("intremap"),
            intpost=self._flag("intpost"),
            x2apic=self._x2apic(),
            posted_intr_vector=self._number("posted_intr_vector"),
            pi_wakeup_vector=self._number("pi_wakeup_vector"),
            domains=tuple(self.domains.values()),
            vcpus=tuple(self.vcpus.values()),
            msis=tuple(self.msis.values()),
            pins=tuple(self.pins.values()),
        )
        absent = self.damaged[:DAMAGED_SHOWN]
        if len(self.damaged) > DAMAGED_SHOWN:
            absent.append(unreadable("lines", f"and {len(self.damaged) - DAMAGED_SHOWN} more damaged lines"))
        if made.release is None or made.release > ALWAYS_BELOW_4G:
            why = "Xen printed its PDA sign-extended; bits 63:32 are not known, taken as 0"
            absent += [
                unreadable(f"unit {unit} entry {index:#x}", why, "pda")
                for unit, index in self.signed
                if index in self.units[unit].entries
            ]
        units = tuple(self._unit(unit, bool(made.x2apic)) for unit in self.units.values())
        return replace(made, units=units, absent=tuple(absent))

    def _unit(self, unit: _Unit, x2apic: bool) -> VtdUnit:
        indices = tuple(sorted(unit.entries))
        return VtdUnit(
            unit.index,
            0,
            base=0,
            size=unit.size,
            eime=int(x2apic),
            origin="the console log",
            cap_pi=unit.cap_pi,
            in_use=unit.in_use,
            indices=indices,
            raw=b"".join(unit.entries[index] for index in indices),
            platform=self._platform(unit),
        )

    def _platform(self, unit: _Unit) -> tuple[Platform, ...]:
        """The IO-APICs that use the unit, by the source-ids of their pins' entries."""
        used = ((pin.ioapic, unit.entries.get(pin.index)) for pin in self.pins.values())
        sids = {apic: REMAPPED["sid"].extract(int.from_bytes(raw, "little")) for apic, raw in used if raw}
        return tuple(Platform(IOAPIC, apic, sid) for apic, sid in sids.items())

    def _x2apic(self) -> bool | None:
        """What the log says, or else what the destinations look like."""
        if "x2apic" in self.facts:
            return bool(self.facts["x2apic"])
        return any(dst_reserved_bits(dst, False) for dst in self.destinations) if self.destinations else None

    def _flag(self, name: str) -> bool | None:
        return bool(self.facts[name]) if name in self.facts else None

    def _number(self, name: str) -> int | None:
        return int(self.facts[name]) if name in self.facts else None

    # What each line tells.

    def iommu(self, match: re.Match[str]) -> None:
        self.unit = self.units[int(match[1])] = _Unit(int(match[1]))
        self.signed = [(unit, index) for unit, index in self.signed if unit != self.unit.index]

    def posting(self, match: re.Match[str]) -> None:
        if self.unit:
            self.unit.cap_pi = int(not match[1])

    def table(self, match: re.Match[str]) -> None:
        if self.unit:
            self.unit.size = int(match[1], 16)

    def row(self, match: re.Match[str]) -> None:
        record, names = (POSTED, POSTED_ROW) if match[1] == "P" else (REMAPPED, REMAPPED_ROW)
        index, words = int(match[2], 16), match[3].split()
        if self.unit is None or len(words) != len(names):
            raise ValueError
        values = {name: int(word, 16) for name, word in zip(names, words, strict=True)}
        pda = values.get("pda", 0)
        if pda & SIGN == SIGN and pda & 1 << 31:
            values["pda"] = pda & ~SIGN
            self.signed.append((self.unit.index, index))
        if values.get("dst"):
            self.destinations.add(values["dst"])
        whole = 0
        for name, value in {"im": int(match[1] == "P"), **values}.items():
            whole = record[name].insert(whole, value)
        self.unit.entries[index] = whole.to_bytes(record.size, "little")

    def count(self, match: re.Match[str]) -> None:
        if self.unit:
            self.unit.in_use = int(match[1])

    def redirection(self, match: re.Match[str]) -> None:
        self.ioapic = int(match[1])

    def pin(self, match: re.Match[str]) -> None:
        if self.ioapic is not None:
            pin = Pin(self.ioapic, int(match[1], 16), int(match[2], 16), vector=int(match[3], 16))
            self.pins[pin.ioapic, pin.pin] = pin

    def msi(self, match: re.Match[str]) -> None:
        self.msis[int(match[2])] = Msi(int(match[2]), NONE, match[1], None, 0, 0)

    def vector(self, match: re.Match[str]) -> None:
        self.facts["posted_intr_vector" if match[2] == "notification" else "pi_wakeup_vector"] = int(match[1], 16)

    def general(self, match: re.Match[str]) -> None:
        self.domain = int(match[1])
        self.domains[self.domain] = Domain(self.domain)
        self.vcpus = {name: vcpu for name, vcpu in self.vcpus.items() if vcpu.domain != self.domain}

    def dying(self, match: re.Match[str]) -> None:
        if domain := self.domains.get(self.domain):
            self.domains[self.domain] = replace(domain, dying=int(match[1]), pause_count=int(match[2]))

    def of_vcpu(self, match: re.Match[str]) -> None:
        if self.domain not in self.domains:
            raise ValueError
        runs = match[3] == "T"
        dirty = re.search(r"dirty_cpu=(\d+)", match[4])
        vcpu = Vcpu(self.domain, int(match[1]), processor=int(match[2]), is_running=runs)
        self.vcpu = vcpu.name
        self.vcpus[vcpu.name] = replace(vcpu, dirty_cpu=int(dirty[1]) if dirty else MARKER)

    def pauses(self, match: re.Match[str]) -> None:
        if vcpu := self.vcpus.get(self.vcpu or ""):
            flags, count = int(match[2], 16), int(match[1]) + self.domains[vcpu.domain].pause_count
            state = "running" if vcpu.is_running else "blocked" if flags & 1 else "offline" if flags else "runnable"
            self.vcpus[vcpu.name] = replace(vcpu, pause_flags=flags, pause_count=count, runstate=state)

    def paging(self, match: re.Match[str]) -> None:
        if vcpu := self.vcpus.get(self.vcpu or ""):
            self.vcpus[vcpu.name] = replace(vcpu, hvm=True)
            self.domains[vcpu.domain] = replace(self.domains[vcpu.domain], hvm=True)

    def version(self, match: re.Match[str]) -> None:
        self.facts["version"] = match[1]

    def remapping_enabled(self, match: re.Match[str]) -> None:
        self.facts["intremap" if match[1] == "Interrupt Remapping" else "intpost"] = not match[2]

    def apic_driver(self, match: re.Match[str]) -> None:
        self.facts["x2apic"] = match[1].startswith("x2apic")


PATTERNS: tuple[tuple[re.Pattern[str], Callable[[_Log, re.Match[str]], None]], ...] = tuple(
    (re.compile(pattern), take)
    for pattern, take in (
        (r"\s*([RP]):\s+([0-9a-f]{4,}):(.*)", _Log.row),
        (r"\s*([0-9a-f]{2}):\s+([0-9a-f]{4,})\s+1(?:\s+\d){6}\s+([0-9a-f]{2})$", _Log.pin),
        (r"iommu (\d+): nr_pt_levels", _Log.iommu),
        (r"\s*Interrupt Posting: (not )?supported", _Log.posting),
        (r"\s*Interrupt remapping table \(nr_entry=0x([0-9a-f]+)", _Log.table),
        (r"\s*Warning: Print \d+ IRTE \(actually have (\d+)\)", _Log.count),
        (r"Redirection table of IOAPIC (\d+):", _Log.redirection),
        (r"\s*(MSI-X|MSI|HPET)\s+(\d+) vec=[0-9a-f]{2}\s", _Log.msi),
        (r"\s*0x([0-9a-f]+) -> (?:\S*#)?pi_(notification|wakeup)_interrupt", _Log.vector),
        (r"General information for domain (\d+):", _Log.general),
        (r"\s*refcnt=\d+ dying=(\d+) pause_count=(\d+)", _Log.dying),
        (r"\s*VCPU(\d+): CPU(\d+) \[has=([TF])\](.*)", _Log.of_vcpu),
        (r"\s*pause_count=(\d+) pause_flags=([0-9a-f]+)", _Log.pauses),
        (r"\s*paging assistance: ", _Log.paging),
        (r"\s*Xen version (\d+\.\d+\S*)", _Log.version),
        (r"Intel VT-d (Interrupt Remapping|Posted Interrupt) (not )?enabled", _Log.remapping_enabled),
        (r"(?:Using|Switched to) APIC driver (\w+)", _Log.apic_driver),
    )
)
