"""The debug key `q`: every domain and its vCPUs (`dump_domains`).

A vCPU's line ends with `upcall_pend = 00, upcall_mask = 00 dirty_cpus={} cpu_affinity=` up to 4.5, `upcall_pend=00
upcall_mask=00 dirty_cpus={}` up to 4.10, then `dirty_cpu=N`; from 4.13 on a UNIT line stands before. A domain's own
"paging assistance" line stands before its vCPUs; with `external` it is hardware-virtualised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console import cpus
from inspector.targets.recorded.console.damage import Damage, match
from inspector.targets.recorded.console.key import Key
from inspector.targets.recorded.console.lines import Line

HEADER = r"'q' pressed -> dumping domain info"
DOMAIN = re.compile(r"General information for domain (\d{1,10}):")
DYING = re.compile(r"\s*refcnt=-?\d{1,10} dying=(\d{1,10}) pause_count=(-?\d{1,10})")
DYING_START = r"\s*refcnt="
PAGING = re.compile(r"\s*paging assistance:(.*)")
CALLBACKS = re.compile(r"VCPU information and callbacks for domain (\d{1,10}):")
UNIT = re.compile(rf"\s*UNIT(\d{{1,10}}) affinities: hard=({cpus.LISTED}) soft=({cpus.LISTED})")
AFFINITY = re.compile(
    rf"\s*cpu_hard_affinity=({cpus.LISTED}|{cpus.MASK}) cpu_soft_affinity=({cpus.LISTED}|{cpus.MASK})"
)
VCPU_START = r"\s*VCPU\d{1,10}: "
VCPU = re.compile(
    r"\s*VCPU(?P<vcpu>\d{1,10}): CPU(?P<cpu>\d{1,10}) \[has=(?P<has>[TF])\] (?:flags=\S+ )?poll=(?P<poll>-?\d{1,10})"
    r" upcall_pend ?= ?(?P<pend>[0-9a-f]{2}),? upcall_mask ?= ?(?P<mask>[0-9a-f]{2})"
    rf"\s*(?:dirty_cpu=(?P<dirty>\d{{1,10}})|dirty_cpus=(?P<dirties>{cpus.LISTED}|{cpus.MASK})"
    rf"(?:\s+cpu_affinity=(?P<aff>{cpus.LISTED}|{cpus.MASK}))?)?"
)
PAUSES = re.compile(r"\s*pause_count=(-?\d{1,10}) pause_flags=([0-9a-f]{1,16})")
PAUSES_START = r"\s*pause_count="
NOTIFYING = r"Notifying guest \d{1,10}:\d{1,10}"


@dataclass
class VcpuFacts:
    """A vCPU. `dirty` are the CPUs that may hold its state; `pause_flags` None: that line is not in the log."""

    domain: int
    vcpu: int
    processor: int
    running: bool
    polling: int
    upcall_pending: bool
    upcall_masked: bool
    dirty: tuple[int, ...] | None
    affinity: tuple[int, ...] | None = None
    pause_count: int = 0
    pause_flags: int | None = None
    hap: bool = False


@dataclass
class DomainFacts:
    """A domain. `hvm` is what its own paging line says, or its vCPUs' do."""

    domain: int
    dying: int = 0
    pause_count: int = 0
    hvm: bool = False
    vcpus: list[VcpuFacts] = field(default_factory=list)


@dataclass
class Domains:
    """What an answer to `q` says. `notified`: its last part is there."""

    headed: bool = False
    notified: bool = False
    domains: list[DomainFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Domains:
    """The domains."""
    found = Domains(bool(re.match(HEADER, lines[0].text) or DOMAIN.match(lines[0].text)))
    domain: DomainFacts | None = None
    vcpu: VcpuFacts | None = None
    affinity: tuple[int, ...] | None = None
    for line in lines:
        text = line.text
        if header := DOMAIN.match(text):
            domain, vcpu, affinity = DomainFacts(int(header[1])), None, None
            found.domains.append(domain)
        elif header := CALLBACKS.match(text):
            if domain is None or domain.domain != int(header[1]):
                domain = DomainFacts(int(header[1]))
                found.domains.append(domain)
            vcpu, affinity = None, None
        elif unit := UNIT.match(text):
            affinity = cpus.cpus(unit[2])
        elif re.match(NOTIFYING, text):
            found.notified = True
        elif re.match(VCPU_START, text):
            vcpu = None
            if row := match(VCPU, line, found.damaged):
                if domain is None:
                    found.damaged.append(Damage(line.number, text, "left out: whose vCPU it is is not in the log"))
                    continue
                vcpu = _vcpu(domain.domain, row, affinity)
                domain.vcpus.append(vcpu)
        elif (hard := AFFINITY.match(text)) and vcpu:
            vcpu.affinity = cpus.cpus(hard[1])
        elif re.match(DYING_START, text):
            if (row := match(DYING, line, found.damaged)) and domain:
                domain.dying, domain.pause_count = int(row[1]), int(row[2])
        elif re.match(PAUSES_START, text):
            if (row := match(PAUSES, line, found.damaged)) and vcpu:
                vcpu.pause_count, vcpu.pause_flags = int(row[1]), int(row[2], 16)
        elif (paging := PAGING.match(text)) and domain:
            if vcpu is None:
                domain.hvm = "external" in paging[1]
            elif paging[1].lstrip().startswith("hap"):
                domain.hvm = True
    return found


def begins(text: str, before: Sequence[Line]) -> bool:
    """Its own line, or a domain that the answer has already: domains come once, in the order of their numbers."""
    if re.match(HEADER, text):
        return True
    if not DOMAIN.match(text):
        return False
    return any(re.match(NOTIFYING, line.text) for line in before) or any(line.text == text for line in before)


def cut(facts: Domains, earlier: Domains | None) -> str | None:
    """It ends with what is sent to each guest, where an earlier answer has that; each vCPU has a second line."""
    if not facts.headed:
        return "its beginning is not in the log"
    if not facts.domains:
        return "no domain is in it"
    if earlier and earlier.notified and not facts.notified:
        return "its end is not in the log"
    for domain in facts.domains:
        if any(vcpu.pause_flags is None for vcpu in domain.vcpus):
            return f"a vCPU of d{domain.domain} has no second line in it"
    return None


KEY = Key(
    "q",
    re.compile(
        "|".join(
            (
                HEADER,
                VCPU_START,
                PAUSES_START,
                DYING_START,
                NOTIFYING,
                *(f"(?:{p.pattern})" for p in (DOMAIN, PAGING, CALLBACKS, UNIT, AFFINITY)),
            )
        )
    ),
    begins,
    read,
    cut,
)


def _vcpu(domain: int, row: re.Match[str], affinity: tuple[int, ...] | None) -> VcpuFacts:
    dirty: tuple[int, ...] | None = ()
    if row["dirty"]:
        dirty = (int(row["dirty"]),)
    elif row["dirties"]:
        dirty = cpus.cpus(row["dirties"])
    return VcpuFacts(
        domain,
        int(row["vcpu"]),
        int(row["cpu"]),
        row["has"] == "T",
        int(row["poll"]),
        row["pend"] != "00",
        row["mask"] != "00",
        dirty,
        cpus.cpus(row["aff"]) if row["aff"] else affinity,
    )
