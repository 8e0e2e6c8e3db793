"""What QEMU's monitor prints for people, read strictly: a text that is not as expected gives None, never a guess.

Source: QEMU `hmp_info_status`, `hmp_info_version`, `mtree_info_flatview`, `ioapic_print_redtbl`,
`x86_cpu_dump_local_apic_state` `x86_cpu_dump_state` (7.2 and 10.0).
"""

from __future__ import annotations

import re
from bisect import bisect_right

from inspector.targets.ranges import Range
from inspector.targets.target import IoApic
from structs.frozen import frozen

_FLAT_RANGE = re.compile(r"  ([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, ([a-z/ -]+)\): .*", re.ASCII)
_IOAPIC = re.compile(r"ioapic\d*: ver=0x([0-9a-f]{1,8}) id=0x([0-9a-f]{1,2}) sel=0x[0-9a-f]+.*", re.ASCII)
_PIN = re.compile(r"  pin (\d{1,3}) +0x([0-9a-f]{16}) .*", re.ASCII)
_VECTORS = re.compile(r"(ISR|IRR)\t +(\(none\)|(?:\d{1,3}(?:\(level\))? )+)", re.ASCII)
_ROOT = re.compile(r"^CR0=[0-9a-f]{8} CR2=[0-9a-f]{16} CR3=([0-9a-f]{16}) CR4=[0-9a-f]{8}\r?$", re.ASCII | re.MULTILINE)
_REGISTERS = {
    "cs": re.compile(r"^CS =([0-9a-f]{4}) ", re.ASCII | re.MULTILINE),
    "rip": re.compile(r"^RIP=([0-9a-f]{16}) ", re.ASCII | re.MULTILINE),
    "rsp": re.compile(r" RSP=([0-9a-f]{16})\r?$", re.ASCII | re.MULTILINE),
}
MOST_PINS = 240
PAGE = 1 << 12


def status(text: str) -> str | None:
    """The run state from `info status`: `running`, `paused`, or why it is paused (`prelaunch`, `shutdown`, ...)."""
    match = re.fullmatch(r"VM status: (running|paused)(?: \(([a-z-]+)\))?(?: \(single step mode\))?\s*", text, re.ASCII)
    return (match[2] or match[1]) if match else None


def version(text: str) -> tuple[int, int, int] | None:
    """QEMU's version from `info version`: `7.2.22Debian 1:7.2+dfsg-7` is (7, 2, 22)."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?!\d)", text, re.ASCII)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def cpus(text: str) -> list[dict[str, int]]:
    """`cr3`, `cs`, `rip`, `rsp` of each CPU in 64-bit mode, from `info registers -a`; what is not told is left out."""
    found = []
    for one in text.split("CPU#"):
        if root := _ROOT.search(one):
            told = [(name, match) for name, form in _REGISTERS.items() if (match := form.search(one))]
            found.append({"cr3": int(root[1], 16), **{name: int(match[1], 16) for name, match in told}})
    return found


@frozen
class FlatView:
    """What lies where in physical memory: disjoint `ranges`, ascending, with the kind of each (`ram`, `i/o`, ...)."""

    ranges: tuple[Range, ...]
    kinds: tuple[str, ...]

    def first_hole(self, address: int, size: int) -> int | None:
        """The first address of a piece that lies in a 4 KiB page with nothing in it; None if there is none."""
        end = address + size
        while address < end:
            # The last range that starts in this page or before it.
            at = bisect_right(self.ranges, address // PAGE * PAGE + PAGE - 1, key=lambda r: r.start) - 1
            covered = -(-self.ranges[at].end // PAGE) * PAGE if at >= 0 else 0
            if covered <= address:
                return address
            address = covered
        return None

    def in_ram(self, address: int, size: int) -> bool:
        """Whether a piece lies in RAM (write-protected RAM included), where a read has no side effect."""
        end = address + size
        at = bisect_right(self.ranges, address, key=lambda r: r.start) - 1
        while 0 <= at < len(self.ranges) and self.kinds[at] in ("ram", "rom", "nv-ram"):
            known = self.ranges[at]
            if not known.start <= address < known.end:
                return False
            if end <= known.end:
                return True
            address, at = known.end, at + 1
        return False

    def ram(self) -> list[Range]:
        """The ranges of RAM, write-protected ones left out."""
        return [where for where, kind in zip(self.ranges, self.kinds, strict=True) if kind == "ram"]


def flat_view(text: str) -> FlatView | None:
    """Physical memory as `info mtree -f` shows it.

    That is the flat view of the address space "memory", which the stub reads in its physical-memory mode.
    """
    lines = iter(_lines(text))
    if not any(line.startswith(' AS "memory", root: ') for line in lines):
        return None
    ranges: list[Range] = []
    kinds: list[str] = []
    for line in lines:
        match = _FLAT_RANGE.fullmatch(line)
        if match:
            start, last = int(match[1], 16), int(match[2], 16)
            if last < start or (ranges and start < ranges[-1].end):
                return None
            ranges.append(Range(start, last + 1))
            kinds.append(match[3])
        elif not line.startswith(" "):
            break
        elif ranges or not line.startswith((" AS ", " Root memory region: ")):
            return None
    return FlatView(tuple(ranges), tuple(kinds)) if ranges else None


def ioapics(text: str) -> list[IoApic] | None:
    """The IO-APICs that `info pic` lists, in order, with their raw 64-bit redirection table entries."""
    found: list[tuple[int, int, list[int]]] = []
    for line in _lines(text):
        if head := _IOAPIC.fullmatch(line):
            found.append((int(head[2], 16), int(head[1], 16), []))
        elif line.startswith("ioapic"):
            return None
        elif line.startswith("  pin"):
            pin = _PIN.fullmatch(line)
            if not pin or not found or int(pin[1]) != len(found[-1][2]) or int(pin[1]) >= MOST_PINS:
                return None
            found[-1][2].append(int(pin[2], 16))
    if any(not entries for _, _, entries in found):
        return None
    return [IoApic(id, version, tuple(entries)) for id, version, entries in found]


@frozen
class Lapic:
    """A CPU's number, and the vectors set in its local APIC's IRR and ISR, as bits of an integer."""

    cpu: int
    irr: int
    isr: int


def lapic(text: str) -> Lapic | None:
    """What `info lapic` tells of a CPU's local APIC."""
    lines = _lines(text)
    head = re.fullmatch(r"dumping local APIC state for CPU (\d{1,4}) *", lines[0], re.ASCII)
    rows = [_VECTORS.fullmatch(line) for line in lines if line.startswith(("ISR", "IRR"))]
    if not head or [row and row[1] for row in rows] != ["ISR", "IRR"]:
        return None
    isr, irr = ({int(word) for word in re.findall(r"\d+", row[2])} for row in rows if row)
    if any(vector > 255 for vector in irr | isr):
        return None
    return Lapic(int(head[1]), sum(1 << vector for vector in irr), sum(1 << vector for vector in isr))


def _lines(text: str) -> list[str]:
    """The monitor ends its lines with a carriage return and a line feed."""
    return text.replace("\r\n", "\n").split("\n")
