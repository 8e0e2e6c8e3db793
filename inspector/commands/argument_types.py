"""What words of commands stand for: numbers, devices, vCPUs, with what completes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Self

from inspector.base.arguments import BadWord, Word, read_number

ENTRY = re.compile(r"\d+:0x[0-9a-f]+", re.IGNORECASE)
BDF = re.compile(r"(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])", re.IGNORECASE)
VCPU = re.compile(r"d(\d+)v(\d+)", re.IGNORECASE)
VM = re.compile(r"vm(\d+(?:\.\d+)?)(?:v(\d+))?", re.IGNORECASE)
"""A VM of KVM's, and a vCPU of it."""


class SourceId(int):
    """A device as a source-id, and its segment; None if the user named none: then any."""

    segment: int | None = None

    @classmethod
    def of(cls, segment: int | None, sid: int) -> Self:
        """The device `sid` of a segment."""
        made = cls(sid)
        made.segment = segment
        return made

    def is_on(self, segment: int) -> bool:
        """Whether a segment may be the device's."""
        return self.segment in (None, segment)


class EntryNumber(int):
    """An entry's index in its table, and the unit whose table it is; None if the user named none: then any."""

    unit: int | None = None


def read_entry(word: str) -> EntryNumber:
    """An entry as `INDEX`, or `UNIT:INDEX` as `irqs` prints it. Raises BadWord."""
    unit, _, index = word.rpartition(":")
    made = EntryNumber(read_number(index))
    made.unit = read_number(unit) if unit else None
    return made


def read_domain(word: str) -> int:
    """A domain by its number, or by its name as it is printed, `d1`. Raises BadWord."""
    return read_number(word[1:] if word[:1] in "dD" and word[1:].isdigit() else word)


def read_bdf(word: str) -> SourceId:
    """A device `[segment:]bus:device.function`. Raises BadWord."""
    match = BDF.fullmatch(word)
    if not match or int(match[3], 16) > 31:
        raise BadWord(f"{word!r} is no device; expected bus:device.function, such as 00:1f.0")
    segment = int(match[1], 16) if match[1] else None
    bus, device, function = (int(part, 16) for part in match.groups()[1:])
    return SourceId.of(segment, bus << 8 | device << 3 | function)


def read_vcpu(word: str) -> str:
    """A vCPU's name, `d1v2`, or KVM's `vm1234v0`. Raises BadWord."""
    if (of_kvm := VM.fullmatch(word)) and of_kvm[2]:
        return f"vm{of_kvm[1]}v{int(of_kvm[2])}"
    match = VCPU.fullmatch(word)
    if not match:
        raise BadWord(f"{word!r} is no vCPU; expected one such as d1v0")
    return f"d{int(match[1])}v{int(match[2])}"


def seconds(least: float, most: float, what: str = "time", expected: str = "seconds") -> Callable[[str], float]:
    """What reads seconds between two bounds, both included."""

    def read(word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = -1.0
        if not least <= value <= most:
            raise BadWord(f"{word!r} is no {what}; expected {expected}, such as 0.5")
        return value

    return read


def _number(name: str, kind: str, noun: str = "number", example: str = "24 or 0x18") -> Word:
    return Word(name, read_number, kind, noun, example)


Device = Annotated[SourceId, Word("BDF", read_bdf, "BDF", "device", "00:1f.0")]


def read_vcpus(word: str) -> str:
    """A vCPU's name, or a domain's for all of its: `d1v2`, `d1`; KVM's `vm1234v0`, `vm1234`. Raises BadWord."""
    if word[:1] in ("d", "D") and word[1:].isdigit():
        return f"d{int(word[1:])}"
    if (of_kvm := VM.fullmatch(word)) and not of_kvm[2]:
        return f"vm{of_kvm[1]}"
    return read_vcpu(word)


VcpusName = Annotated[str, Word("dXvY|dX", read_vcpus, "dXvY", "vCPU or domain", "d1v0 or d1")]
VcpuName = Annotated[str, Word("dXvY", read_vcpu, "dXvY", "vCPU", "d1v0")]
CpuNumber = Annotated[int, _number("CPU", "CPU")]
Vector = Annotated[int, _number("VECTOR", "", "vector", "0x62")]
DomainNumber = Annotated[int, Word("DOMAIN", read_domain, "DOMAIN", "domain", "1 or d1")]
UnitNumber = Annotated[int, _number("N", "UNIT")]
EntryIndex = Annotated[EntryNumber, Word("INDEX", read_entry, "INDEX", "index", "24, 0x18 or 0:0x18")]
PhysicalAddress = Annotated[int, _number("ADDRESS", "ADDRESS", "address", "0x27bd2680")]
RegisterName = Annotated[str, Word("REGISTER", kind="REGISTER")]
RuleName = Annotated[str, Word("RULE", kind="RULE")]
