"""The few commands of QEMU's monitor that tools ask a gdb stub for, answered in QEMU's words.

Source: QEMU `hmp_info_status`, `hmp_info_version`, `mtree_info_flatview`, `ioapic_print_redtbl` (7.2).
"""

from __future__ import annotations

from collections.abc import Callable

from sim_backend.layout.interrupts import IOAPIC_PINS, IOAPIC_VERSION
from sim_backend.layout.layout import Layout
from sim_backend.memory.memory import PAGE
from structs.ioapic import RTE

SPEAKS_AS = "7.2.0"
"""Up to 8.0 a QEMU that is stopped by a debugger's arrival says so with a stop reply; this stub does likewise."""


def answer(layout: Layout, command: str) -> str:
    """What the monitor prints. Lines end as QEMU's do, with a carriage return."""
    known = COMMANDS.get(" ".join(command.split()))
    lines = known(layout) if known else [f"unknown command: '{command}'"]
    return "".join(f"{line}\r\n" for line in lines)


def _status(layout: Layout) -> list[str]:
    return ["VM status: paused"]


def _version(layout: Layout) -> list[str]:
    return [f"{SPEAKS_AS} (vtdpi's simulated machine)"]


def _flat_view(layout: Layout) -> list[str]:
    places = [(start, size, "ram", "ram") for start, size in layout.memory.ram()]
    places += [(unit.registers, PAGE, "i/o", "intel_iommu") for unit in layout.units]
    ranges = [f"  {start:016x}-{start + size - 1:016x} (prio 0, {kind}): {name}" for start, size, kind, name in places]
    return ["FlatView #0", ' AS "memory", root: system', " Root memory region: system", *ranges, ""]


def _pic(layout: Layout) -> list[str]:
    lines = []
    for number in range(layout.config.ioapics):
        lines.append(f"ioapic{number}: ver=0x{IOAPIC_VERSION:x} id=0x{number:02x} sel=0x00")
        for pin in range(IOAPIC_PINS):
            raw = layout.memory.read(layout.rte(number, pin), RTE.size)
            vector, masked = RTE.parse(raw)["vector"], RTE.parse(raw)["mask"]
            value = int.from_bytes(raw, "little")
            lines.append(f"  pin {pin:<2} 0x{value:016x} vec={vector:<3} {'masked' if masked else ''}".rstrip())
    return lines


COMMANDS: dict[str, Callable[[Layout], list[str]]] = {
    "info status": _status,
    "info version": _version,
    "info mtree -f": _flat_view,
    "info pic": _pic,
}
