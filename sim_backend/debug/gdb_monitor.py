"""The few commands of QEMU's monitor that tools ask a gdb stub for, answered in QEMU's words.

Source: QEMU `hmp_info_status`, `hmp_info_version`, `mtree_info_flatview`, `ioapic_print_redtbl` (7.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim_backend.layout.interrupts import IOAPIC_PINS, IOAPIC_VERSION
from sim_backend.layout.layout import Layout
from sim_backend.memory.memory import PAGE
from structs.ioapic import RTE

if TYPE_CHECKING:
    from sim_backend.layout.kvm.layout import KvmLayout

SPEAKS_AS = "7.2.0"
"""Up to 8.0 a QEMU that is stopped by a debugger's arrival says so with a stop reply; this stub does likewise."""


Region = tuple[int, int, str, str]
"""Where it starts, its size, its kind and name as QEMU has them."""


def answer(layout: Layout | KvmLayout, command: str) -> str:
    """What the monitor of a simulated machine prints."""
    regions: list[Region] = [(start, size, "ram", "ram") for start, size in layout.memory.ram()]
    regions += [(unit.registers, PAGE, "i/o", "intel_iommu") for unit in layout.units]
    if _words(command) == "info pic":
        return _text(_pic(layout))
    return told(command, "vtdpi's simulated machine", regions)


def told(command: str, name: str, regions: Sequence[Region]) -> str:
    """What the monitor of a machine that stands still prints.

    Args:
        name: what answers.
        regions: its memory.
    """
    match _words(command):
        case "info status":
            return _text(["VM status: paused"])
        case "info version":
            return _text([f"{SPEAKS_AS} ({name})"])
        case "info mtree -f":
            return _text(_flat_view(regions))
    return _text([f"unknown command: '{command}'"])


def _words(command: str) -> str:
    return " ".join(command.split())


def _text(lines: Sequence[str]) -> str:
    """Lines end as QEMU's do, with a carriage return."""
    return "".join(f"{line}\r\n" for line in lines)


def _flat_view(regions: Sequence[Region]) -> list[str]:
    ranges = [f"  {start:016x}-{start + size - 1:016x} (prio 0, {kind}): {name}" for start, size, kind, name in regions]
    return ["FlatView #0", ' AS "memory", root: system', " Root memory region: system", *ranges, ""]


def _pic(layout: Layout | KvmLayout) -> list[str]:
    lines = []
    for number in range(layout.config.ioapics):
        lines.append(f"ioapic{number}: ver=0x{IOAPIC_VERSION:x} id=0x{number:02x} sel=0x00")
        for pin in range(IOAPIC_PINS):
            raw = layout.memory.read(layout.rte(number, pin), RTE.size)
            vector, masked = RTE.parse(raw)["vector"], RTE.parse(raw)["mask"]
            value = int.from_bytes(raw, "little")
            lines.append(f"  pin {pin:<2} 0x{value:016x} vec={vector:<3} {'masked' if masked else ''}".rstrip())
    return lines
