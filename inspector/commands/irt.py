"""The command `irt`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from inspector.analysis.sources import InterruptSources, Source
from inspector.base.arguments import flag, option
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import Device, UnitNumber
from inspector.commands.command import Example, command
from inspector.commands.units import tables
from inspector.model.answer import Answer, Block, Later, Table, Text
from inspector.model.vtd import VtdUnit
from inspector.vtd.remapping import Entries, allowed
from structs.columns import Array
from structs.frozen import frozen
from structs.irte import IRTE, POSTED, REMAPPED, source_matches
from structs.remapping import Destination

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("INDEX", "FORMAT", "VECTOR", "DESTINATION", "DLM", "TM", "FLAGS", "ALLOWED", "SOURCE")
Row = Mapping[str, Any]
Shown = tuple[VtdUnit, Sequence[Row], Sequence[Source], "list[documents.Entry]"]
"""A unit, the entries of it that are shown, who uses each, and the document's entries."""
FLAGS = ("fpd", "rh", "urg", "avail")


@frozen
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
def irt(inspection: Inspection, arguments: Arguments) -> Answer[documents.Irt]:
    """The interrupt-remapping table of each unit: its present entries, who may use each, and who does."""
    units: list[documents.Table] = []
    shown: list[Shown] = []
    problems: list[str] = []
    notes: list[str] = []
    snapshot = inspection.deferred
    sources = InterruptSources(snapshot)
    for unit, entries in tables(snapshot, arguments.unit, problems):
        rows = [row for row in entries.decode(_chosen(entries, arguments)) if _wanted(row, unit, arguments)]
        users = [sources.of(unit, row) for row in rows]
        units.append(
            {
                "unit": unit.index,
                "register_base": unit.register_base,
                "irta": unit.irta,
                "base": unit.base,
                "size": unit.size,
                "eime": bool(unit.eime),
                "origin": unit.origin,
                "entries": _entries(rows, users),
            }
        )
        shown.append((unit, rows, users, units[-1]["entries"]))
        if stale := len(unit.stale_indices):
            notes.append(f"{unit.name}: {stale} entries are not present (P=0) and yet not zero; see irt --all")
    return Answer({"units": units}, Later(partial(_blocks, shown)), problems, notes, absent=snapshot.absences)


def _entries(rows: Sequence[Row], users: Sequence[Source]) -> list[documents.Entry]:
    """The entries with their users, each of whom is described once: a device may have thousands."""
    told = {id(source): source.document() for source in {id(source): source for source in users}.values()}
    return [{**row, "source": told[id(source)]} for row, source in zip(rows, users, strict=True)]


def _blocks(shown: Sequence[Shown]) -> Sequence[Block]:
    blocks: list[Block] = []
    for unit, rows, users, entries in shown:
        table = [_row(row, unit.eime, str(source)) for row, source in zip(rows, users, strict=True)]
        blocks += [Text(_head(unit)), _table(table, entries)]
    return blocks


def _table(rows: Sequence[tuple[str, ...]], entries: list[documents.Entry]) -> Table:
    short = {
        "FORMAT": ["post" if row[1] == POSTED.title else "remap" for row in rows],
        "DESTINATION": [
            row[3].replace("cluster ", "c").replace(", members ", ":").replace(", member ", ":") for row in rows
        ],
        "ALLOWED": [
            row[7].replace(" and functions that differ in ", "+").replace("anyone (not checked)", "anyone")
            for row in rows
        ],
    }
    return Table(
        COLUMNS,
        rows,
        numeric=frozenset({"INDEX"}),
        short=short,
        spare=("TM", "DLM", "ALLOWED", "FLAGS"),
        records=entries,
    )


def _chosen(entries: Entries, arguments: Arguments) -> Array:
    chosen = np.arange(len(entries.raw)) if arguments.all else entries.used()
    if arguments.posted:
        byte, bit = divmod(REMAPPED["im"].low, 8)
        chosen = chosen[entries.raw[chosen, byte] >> bit & 1 == 1]
    return chosen


def _wanted(row: Mapping[str, Any], unit: VtdUnit, arguments: Arguments) -> bool:
    device = arguments.device
    return device is None or (row["svt"] != 0 and device.is_on(unit.segment) and source_matches(row, device))


def _head(unit: VtdUnit) -> str:
    mode, present = "x2APIC" if unit.eime else "xAPIC", len(unit.indices)
    if not unit.base:
        return f"{unit.name}, from {unit.origin}: {unit.size} entries, {mode}; {present} present"
    return (
        f"{unit.name} at {unit.register_base:#x}: IRTA {unit.irta:#x} (from {unit.origin}), "
        f"{unit.size} entries at {unit.base:#x}, EIME {unit.eime} ({mode}); {present} present"
    )


def _row(row: Mapping[str, Any], eime: int, source: str) -> tuple[str, ...]:
    flags = [name if row[name] == 1 else f"{name}={row[name]:#x}" for name in FLAGS if row.get(name)]
    flags += [f"{name}={value:#x}!" for name, value in row.items() if name.startswith("rsvd")]
    if not row["p"]:
        flags.insert(0, "absent")
    destination, delivery, trigger = f"PID {row['pda']:#x}" if "pda" in row else _destination(row, eime), "-", "-"
    if "dlm" in row:
        delivery = IRTE.cases[0]["dlm"].meanings.get(row["dlm"], f"reserved {row['dlm']}")
        trigger = IRTE.cases[0]["tm"].meanings[row["tm"]]
    return (
        f"{row['index']:#x}",
        row["format"],
        f"{row['vector']:#04x}",
        destination,
        delivery,
        trigger,
        " ".join(flags),
        allowed(row),
        source,
    )


def _destination(row: Mapping[str, Any], eime: int) -> str:
    return Destination(row["dst"], bool(row["dm"]), bool(eime)).in_words()
