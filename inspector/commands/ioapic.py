"""The command `ioapic`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.analysis.sources import InterruptSources
from inspector.base.arguments import NoArguments
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.command import Example, command
from inspector.commands.units import why
from inspector.model.answer import Answer, Table
from inspector.model.interrupts import IoApic
from inspector.model.snapshot import Snapshot
from structs.ioapic import RTE

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("PIN", "FORMAT", "INDEX", "VECTOR", "MASK", "TM", "POL", "IRR", "STATUS", "DESTINATION")
SPARE = ("POL", "STATUS", "IRR", "TM")
PIN_COLUMNS = ("IO-APIC", "PIN", "INDEX")
_ORIGINS = {"Xen": "from Xen's apic_pin_2_ir_idx", "Linux": "from Linux's struct mp_chip_data and intel_ir_data"}


@command(
    NoArguments,
    Example("live", "ioapic"),
)
def ioapic(inspection: Inspection, arguments: NoArguments) -> Answer[documents.Ioapic]:
    """The IO-APICs' redirection tables, and which interrupt-remapping entry each pin uses.

    The registers lie behind an index register that would have to be written, so they are read through QEMU's monitor.
    A dump has no registers: there, Xen's or Linux's own table tells which entry each pin uses.
    """
    snapshot = inspection.deferred
    if not any(ioapic.redirection for ioapic in snapshot.ioapics):
        return _from_host(snapshot)
    described: list[documents.IoApic] = []
    blocks = []
    sources = InterruptSources(snapshot)
    for ioapic in snapshot.ioapics:
        held = [(pin, value) for pin, value in enumerate(ioapic.redirection) if value is not None]
        entries = [_entry(pin, value) for pin, value in held]
        unit = sources.unit_of_ioapic(ioapic.number)
        described.append(
            {
                "ioapic": ioapic.number,
                "ioapic_id": ioapic.id,
                "version": ioapic.version,
                "unit": unit,
                "entries": entries,
            }
        )
        title = f"IO-APIC {ioapic.number}: {_about(ioapic)}{len(ioapic.redirection)} pins"
        title += "" if unit is None else f", through unit {unit}"
        blocks.append(Table(COLUMNS, [_row(pin, value) for pin, value in held], title, frozenset({"PIN"}), spare=SPARE))
    return Answer({"ioapics": described}, blocks, absent=snapshot.absences)


def _about(ioapic: IoApic) -> str:
    id = "" if ioapic.id is None else f"id {ioapic.id}, "
    return id if ioapic.version is None else f"{id}version {ioapic.version:#x}, "


def _entry(pin: int, value: int) -> documents.Pin:
    title, fields = _parsed(value)
    return {"pin": pin, "value": value, **fields, "format": title}


def _parsed(value: int) -> tuple[str, dict[str, int]]:
    """The format of a redirection entry, and its fields, reserved ones if not zero."""
    raw = value.to_bytes(RTE.size, "little")
    record = RTE.record_of(raw)
    return record.title, record.visible(record.parse(raw))


def _row(pin: int, value: int) -> tuple[str, ...]:
    title, entry = _parsed(value)
    remappable = title == "remappable"
    words = {name: RTE.records[0][name].meanings[entry[name]] for name in ("tm", "pol", "delivs")}
    reserved = "".join(f" {name}={found:#x}!" for name, found in entry.items() if name.startswith("rsvd"))
    return (
        str(pin),
        title,
        f"{entry['index']:#x}" if remappable else "-",
        f"{entry['vector']:#04x}",
        "masked" if entry["mask"] else "",
        words["tm"],
        words["pol"],
        str(entry["irr"]),
        words["delivs"],
        ("by its entry" if remappable else f"{'CPUs' if entry['dm'] else 'APIC'} {entry['dst']:#x}") + reserved,
    )


def _from_host(snapshot: Snapshot) -> Answer[documents.Ioapic]:
    """Which entry each pin uses, where only its kernel tells. Raises NotHere if it does not either."""
    reason = why(snapshot, "ioapics", f"{snapshot.target} tells of no IO-APIC")
    if not snapshot.pins:
        raise NotHere(reason)
    sources = InterruptSources(snapshot)
    pins = sorted(snapshot.pins, key=lambda pin: (pin.ioapic, pin.pin))
    described: list[documents.IoApic] = [
        {
            "ioapic": number,
            "ioapic_id": None,
            "version": None,
            "unit": sources.unit_of_ioapic(number),
            "entries": [{"pin": pin.pin, "index": pin.index} for pin in pins if pin.ioapic == number],
        }
        for number in sorted({pin.ioapic for pin in pins})
    ]
    rows = [(str(pin.ioapic), str(pin.pin), f"{pin.index:#x}") for pin in pins]
    table = Table(PIN_COLUMNS, rows, _ORIGINS[snapshot.host], frozenset(PIN_COLUMNS[:2]))
    notes = [f"{reason}; shown is what {snapshot.host} remembers"]
    return Answer({"ioapics": described}, [table], notes=notes, absent=snapshot.absences)
