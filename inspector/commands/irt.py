"""The command `irt`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inspector.base.arguments import flag, option
from inspector.capture.inspection import Inspection
from inspector.capture.sources import Sources, in_words
from inspector.commands.argument_types import Device, UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import each_unit
from inspector.model.answer import Answer, Block, Table, Text
from inspector.vtd.remapping import Entries, allowed, read
from inspector.vtd.units import Unit
from structs.columns import Array
from structs.irte import IRTE, REMAPPED, dst_apic_id, source_matches

COLUMNS = ("INDEX", "FORMAT", "VECTOR", "DESTINATION", "DLM", "TM", "FLAGS", "ALLOWED", "SOURCE")
FLAGS = ("fpd", "rh", "urg", "avail")


@dataclass(frozen=True)
class Arguments:
    """What it takes."""

    unit: UnitNumber | None = option("only this VT-d unit")
    posted: bool = flag("only entries in posted format")
    device: Device | None = option("only entries that this device may use")
    all: bool = flag("also the entries that are not present")


@command(
    Arguments,
    Example("live", "irt", "every present entry"),
    Example("live", "irt --posted", "those in posted format"),
    Example("live", "irt --device 00:03.0", "those that this device may use"),
    Example("dump FILE", "irt --json", "for scripts"),
)
def irt(inspection: Inspection, arguments: Arguments) -> Answer:
    """The interrupt-remapping table of each unit: its present entries, who may use each, and who does."""
    units: list[dict[str, Any]] = []
    blocks: list[Block] = []
    problems: list[str] = []
    notes: list[str] = []
    for unit, entries in each_unit(inspection, arguments.unit, read, problems):
        table = entries.table
        sources = Sources(inspection, unit)
        rows = [
            row | {"source": sources.of(row)}
            for row in entries.decode(_chosen(entries, arguments))
            if _wanted(row, arguments)
        ]
        units.append(
            {
                "index": unit.index,
                "register_base": unit.register_base,
                "irta": table.irta,
                "base": table.base,
                "size": table.entries,
                "eime": table.eime,
                "origin": table.origin,
                "entries": rows,
            }
        )
        blocks += [Text(_head(unit, entries)), Table(COLUMNS, [_row(row, table.eime) for row in rows])]
        if entries.missing:
            problems.append(
                f"unit {unit.index}: {entries.missing} bytes of the table at {table.base:#x} cannot be read"
            )
        if stale := entries.stale():
            notes.append(f"unit {unit.index}: {stale} entries are not present (P=0) and yet not zero; see irt --all")
    return Answer({"units": units}, blocks, [*inspection.problems, *problems], notes)


def _chosen(entries: Entries, arguments: Arguments) -> Array:
    chosen = np.arange(len(entries.raw)) if arguments.all else entries.used()
    if arguments.posted:
        byte, bit = divmod(REMAPPED["im"].low, 8)
        chosen = chosen[entries.raw[chosen, byte] >> bit & 1 == 1]
    return chosen


def _wanted(row: Mapping[str, Any], arguments: Arguments) -> bool:
    return arguments.device is None or (row["svt"] != 0 and source_matches(row, arguments.device))


def _head(unit: Unit, entries: Entries) -> str:
    table = entries.table
    mode = "x2APIC" if table.eime else "xAPIC"
    if not table.base:
        return f"unit {unit.index}, from {table.origin}: {table.entries} entries, {mode}; {len(entries.used())} present"
    return (
        f"unit {unit.index} at {unit.register_base:#x}: IRTA {table.irta:#x} (from {table.origin}), "
        f"{table.entries} entries at {table.base:#x}, EIME {table.eime} ({mode}); {len(entries.used())} present"
    )


def _row(row: Mapping[str, Any], eime: int) -> tuple[str, ...]:
    flags = [name if row[name] == 1 else f"{name}={row[name]:#x}" for name in FLAGS if row.get(name)]
    flags += [f"{name}={value:#x}!" for name, value in row.items() if name.startswith("rsvd")]
    if not row["p"]:
        flags.insert(0, "absent")
    destination, delivery, trigger = f"PID {row['pda']:#x}" if "pda" in row else _destination(row, eime), "-", "-"
    if "dlm" in row:
        delivery = IRTE.cases[0]["dlm"].meanings.get(row["dlm"], f"reserved {row['dlm']}")
        trigger = IRTE.cases[0]["tm"].meanings[row["tm"]]
    return (
        f"{row['index']:04x}",
        row["format"],
        f"{row['vector']:02x}",
        destination,
        delivery,
        trigger,
        " ".join(flags),
        allowed(row),
        in_words(row["source"]),
    )


def _destination(row: Mapping[str, Any], eime: int) -> str:
    apic = dst_apic_id(row["dst"], x2apic=bool(eime))
    return f"CPUs {apic:#x}" if row["dm"] else f"APIC {apic:#x}"
