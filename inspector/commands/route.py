"""The command `route`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from inspector.analysis import vcpu_words as words
from inspector.analysis.posting import effect
from inspector.analysis.route import Columns, Route, by_descriptor, by_index, by_source, routes
from inspector.analysis.situation import situation
from inspector.analysis.sources import InterruptSources
from inspector.base.arguments import BadWord, Word, argument, option, read_number
from inspector.base.errors import NotHere, UsageError, VtdpiError
from inspector.capture.inspection import Inspection
from inspector.commands import interrupt_routes
from inspector.commands.argument_types import ENTRY, VCPU, UnitNumber, read_bdf, read_entry, read_vcpu
from inspector.commands.command import Example, command
from inspector.commands.record_fields import set_fields
from inspector.commands.units import why
from inspector.model.answer import Answer, Block, Facts, Text
from inspector.model.snapshot import Snapshot, Vcpu
from structs.columns import Array
from structs.frozen import frozen
from structs.ioapic import RTE

if TYPE_CHECKING:
    from inspector.model import documents

Start = Annotated[
    str,
    Word(
        "BDF|irte N|ioapic PIN|dXvY|irq N|vector V|dX:PIRQ",
        kinds=("BDF", "dXvY"),
        keywords={"irte": "INDEX", "ioapic": "", "irq": "", "vector": ""},
    ),
]
"""Where a route starts."""

NOWHERE = 1
"""No entry can name it: a PDA is a multiple of 64."""

EXPECTED = "expected a device (03:00.0), `irte N`, `ioapic PIN`, a vCPU (d1v2), `irq N`, `vector V` or a pirq (d1:87)"


@frozen
class Arguments:
    """What it takes."""

    what: tuple[Start, ...] = argument("where to start")
    unit: UnitNumber | None = option("only through this VT-d unit")


@command(
    Arguments,
    Example("live", "route 03:00.0", "every interrupt of a device"),
    Example("live", "route irte 0x18", "of an entry"),
    Example("live", "route ioapic 4", "of an IO-APIC's pin (1:4 for pin 4 of the second IO-APIC)"),
    Example("live", "route d1v2", "everything that is posted to a vCPU"),
    Example("dump LOG", "route irq 34", "of an irq of Xen's"),
    Example("dump LOG", "route vector 0x62", "every interrupt that arrives with a vector"),
    Example("dump LOG", "route d94:151", "of a domain's pirq"),
)
def route(inspection: Inspection, arguments: Arguments) -> Answer[documents.Route]:
    """One interrupt end to end, from a device, an entry, an IO-APIC pin, a vCPU, an irq, a vector or a pirq.

    Who raises it, the remapping entry, the descriptor, the vCPU, its list, and what happens if it fires now.
    """
    snapshot = inspection.snapshot
    snapshot.kernel  # noqa: B018 - who handles it in domain 0, which joined interrupts tell if it is known
    what = _as_typed(arguments.what)
    if joined := interrupt_routes.answer(snapshot, what):
        return joined
    select, vcpu, nothing = selection(snapshot, what)
    unit = _unit(what) if arguments.unit is None else arguments.unit
    document: documents.Route = {"routes": []}
    blocks: list[Block] = []
    notes: list[str] = []
    if vcpu and vcpu.pi:
        happens = effect(snapshot, vcpu.pi, vcpu)
        document["vcpu"] = {**words.document(snapshot, vcpu), "post": happens}
        blocks.append(Facts([*_chain(snapshot, vcpu), *_lines("a post now", happens)], vcpu.name))
    if not any(unit.base is not None for unit in snapshot.units):
        if not blocks:
            raise VtdpiError(_no_table(snapshot))
        notes.append(_no_table(snapshot))
        nothing = f"what is routed there cannot be told: {_no_table(snapshot)}"
    elif unread := [unit.name for unit in snapshot.units if unit.gaps or unit.is_absent("raw")]:
        nothing = f"in what could be read, {nothing}; not all of the table of {', '.join(unread)} could be"
    found = routes(snapshot, select, unit)
    irqs = interrupt_routes.by_entry(snapshot) if found else {}
    document["routes"] = [_document(snapshot, route, irqs) for route in found]
    first = _redirection(snapshot, what)
    shown: list[Block] = [_facts(snapshot, route, [*first, *interrupt_routes.irq_rows(irqs, route)]) for route in found]
    return Answer(document, [*blocks, *(shown or [Text(nothing)])], notes=notes, absent=snapshot.absences)


def _as_typed(what: Sequence[str]) -> Sequence[str]:
    """What other commands print, as the words for it: `IO-APIC 0 pin 2`, `0:0x18`, `unit 0 entry 0x18`."""
    match [*map(str.lower, what)]:
        case ["io-apic", number, "pin", pin]:
            return ["ioapic", f"{number}:{pin}"]
        case ["unit", unit, "entry", index]:
            return ["irte", f"{unit}:{index}"]
        case [place] if ENTRY.fullmatch(place):
            return ["irte", place]
    return what


def _unit(what: Sequence[str]) -> int | None:
    """The unit that the words name."""
    return read_entry(what[1]).unit if what[0] == "irte" and len(what) == 2 else None


def _redirection(snapshot: Snapshot, what: Sequence[str]) -> list[tuple[str, str]]:
    """The redirection entry of the pin that the route begins at, where the target can read it."""
    if what[0] != "ioapic":
        return []
    value = _rte(snapshot, *_pin(what[1]))
    if value is None:
        return []
    raw = value.to_bytes(RTE.size, "little")
    return [
        ("redirection", f"{value:#x}, {RTE.record_of(raw).title}: {set_fields(RTE.record_of(raw), RTE.parse(raw))}")
    ]


def _rte(snapshot: Snapshot, apic: int, pin: int) -> int | None:
    """A pin's redirection entry, if it was read."""
    redirection = next((each.redirection for each in snapshot.ioapics if each.number == apic), ())
    return redirection[pin] if pin < len(redirection) else None


def _no_table(snapshot: Snapshot) -> str:
    reasons = [str(absence) for absence in snapshot.absences if absence.member in ("raw", "units")]
    if not reasons:
        return f"{snapshot.target} tells of no interrupt-remapping table"
    return f"no interrupt-remapping table can be read here: {reasons[0]}"


Selection = tuple[Callable[[Columns], Array], Vcpu | None, str]


def selection(snapshot: Snapshot, what: Sequence[str]) -> Selection:
    """Which entries, the vCPU if it is all that is posted to one, and what to say if there is none."""
    try:
        match what:
            case ["irte", index]:
                chosen = read_entry(index)
                if not any(chosen < unit.size for unit in snapshot.units) and any(u.size for u in snapshot.units):
                    raise UsageError(f"no table has an index {chosen:#x}")
                return by_index(chosen), None, f"entry {chosen:#x} is not present (P=0)"
            case ["ioapic", pin]:
                used = _index(snapshot, pin)
                of = InterruptSources(snapshot).unit_of_ioapic(_pin(pin)[0])
                return by_index(used, of), None, f"entry {used:#x} is not present (P=0)"
            case [name] if VCPU.fullmatch(name):
                vcpu = words.choose(snapshot, read_vcpu(name))
                place = vcpu.pi.address if vcpu.pi else NOWHERE
                return by_descriptor(place), vcpu, _nothing_posted(vcpu)
            case [device]:
                sid = read_bdf(device)
                return by_source(sid, sid.segment), None, f"no present entry is for {device}"
    except BadWord as error:
        raise UsageError(f"route: {error}") from None
    raise UsageError(f"route {' '.join(what)}: {EXPECTED}")


def _nothing_posted(vcpu: Vcpu) -> str:
    if vcpu.pi is None and vcpu.hvm:
        return f"{vcpu.name}'s descriptor is not known, so what is posted to it cannot be told"
    return f"nothing is posted to {vcpu.name}"


def _index(snapshot: Snapshot, word: str) -> int:
    """The remapping index of an IO-APIC's pin: from Xen's table, or else from the redirection table itself."""
    apic, pin = _pin(word)
    known = {(at.ioapic, at.pin): at.index for at in snapshot.pins}
    if (apic, pin) in known:
        return known[apic, pin]
    if not any(each.redirection for each in snapshot.ioapics):
        reason = why(snapshot, "ioapics", f"{snapshot.target} tells of no redirection table")
        raise NotHere(f"IO-APIC {apic} pin {pin}: {snapshot.host} has no remapping index for it, and {reason}")
    value = _rte(snapshot, apic, pin)
    if value is None:
        raise UsageError(f"there is no pin {pin} of an IO-APIC {apic}")
    rte = RTE.values(value)
    if "index" not in rte:
        raise UsageError(f"IO-APIC {apic} pin {pin} is not remapped: its redirection entry is in compatibility format")
    return int(rte["index"])


def _pin(word: str) -> tuple[int, int]:
    """IO-APIC and pin: `4` or `1:4`."""
    apic, _, pin = word.rpartition(":")
    return read_number(apic or "0"), read_number(pin)


def _document(snapshot: Snapshot, route: Route, irqs: interrupt_routes.ByEntry) -> documents.RouteStep:
    return {
        "unit": route.unit.index,
        "index": route.entry["index"],
        "entry": interrupt_routes.entry_document(route.entry),
        "source": route.source.document(),
        "vcpu": words.document(snapshot, route.vcpu) if route.vcpu else None,
        "fires": route.fires,
        "irq": interrupt_routes.irq_document(irqs, route),
    }


def _facts(snapshot: Snapshot, route: Route, first: list[tuple[str, str]]) -> Facts:
    rows = [("source", str(route.source)), *first, ("entry", _entry(route))]
    if route.vcpu:
        rows += _chain(snapshot, route.vcpu)
    return Facts(
        [*rows, *_lines("if it fires", route.fires)], f"unit {route.unit.index} entry {route.entry['index']:#x}"
    )


def _chain(snapshot: Snapshot, vcpu: Vcpu) -> list[tuple[str, str]]:
    """Descriptor, vCPU and list."""
    pi, where = vcpu.pi, situation(snapshot, vcpu)
    if pi is None or where is None:
        return []
    state = f"PIR {words.vectors(pi.pir)}, ON={pi.on} SN={pi.sn}, NV {words.vector_name(snapshot, pi.nv)}"
    return [
        ("descriptor", f"{pi.address:#x}: {state}, NDST {words.destination(snapshot, pi.ndst)}"),
        ("vcpu", f"{vcpu.name}, {vcpu.runstate}: {where.id} {where.title}"),
        ("list", "on none" if vcpu.blocking_list is None else f"on CPU {vcpu.blocking_list}'s"),
    ]


def _lines(name: str, sentences: list[str]) -> list[tuple[str, str]]:
    return [(name, sentences[0]), *(("", sentence) for sentence in sentences[1:])]


def _entry(route: Route) -> str:
    entry = route.entry
    if entry["im"]:
        return f"posted, guest vector {entry['vector']:#x}, to the descriptor at {entry['pda']:#x}"
    return f"remapped, vector {entry['vector']:#x}"
