"""The command `irqs`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inspector.analysis.interrupt import Interrupt
from inspector.analysis.irqs import interrupts
from inspector.base.arguments import flag, option
from inspector.base.errors import NotHere
from inspector.capture.inspection import Inspection
from inspector.commands.argument_types import CpuNumber, Device, DomainNumber, SourceId, UnitNumber, Vector
from inspector.commands.command import Example, command
from inspector.model.absence import NOT_PRINTED
from inspector.model.answer import Answer, Block, Later, Table, Text
from inspector.model.snapshot import Snapshot, vm_name
from structs.frozen import frozen

if TYPE_CHECKING:
    from inspector.model import documents

COLUMNS = ("IRQ", "TYPE", "SOURCE", "OWNER", "ENTRY", "VECTOR", "CPUS", "TAKEN BY", "PIRQ", "MASKED BY", "PENDING")


@frozen
class Arguments:
    """What it takes."""

    unit: UnitNumber | None = option("only through this VT-d unit")
    device: Device | None = option("only of this device")
    domain: DomainNumber | None = option("only those that this domain has, or is bound to")
    cpu: CpuNumber | None = option("only those that go to this CPU")
    vector: Vector | None = option("only with this vector, the host's or the guest's")
    masked: bool = flag("only those that something holds back")
    pending: bool = flag("only those of which something waits")
    posted: bool = flag("only those that are posted")


@command(
    Arguments,
    Example("live", "irqs"),
    Example("dump LOG", "irqs --masked", "what is held back, and by whom"),
    Example("dump LOG", "irqs --domain 1 --sort vector", "a guest's interrupts"),
)
def irqs(inspection: Inspection, arguments: Arguments) -> Answer[documents.Irqs]:
    """Every interrupt in one table.

    What raises it, its irq, remapping entry, vector and CPUs, who takes it, as which pirq, who masks it, and what is in
    flight.

    From memory, or joined from a console log's answers to the debug keys V, M, i, Q and z: a column that no key printed
    is empty.
    """
    snapshot = inspection.snapshot
    snapshot.kernel  # noqa: B018 - who handles it in domain 0, which joined interrupts tell if it is known
    every = interrupts(snapshot)
    if not every:
        raise NotHere(f"{inspection.target.description} tells of no interrupt{_keys(snapshot)}")
    chosen = sorted((each for each in every if _wanted(each, arguments)), key=_by_irq)
    document: documents.Irqs = {"irqs": [document_of(each) for each in chosen]}

    def blocks() -> Sequence[Block]:
        if not chosen:
            return [Text(f"none of {len(every)} interrupts is like that")]
        return [_table([_row(each) for each in chosen], document["irqs"])]

    return Answer(document, Later(blocks), snapshot.problems, _notes(snapshot), absent=snapshot.absences)


def document_of(interrupt: Interrupt) -> documents.Irq:
    """An interrupt, as `--json` prints it; null is what is not known."""
    state, msi = interrupt.state, interrupt.msi
    return {
        "irq": interrupt.irq,
        "type": interrupt.type or None,
        "source": interrupt.source.document() if interrupt.source else None,
        "owner": interrupt.owner,
        "unit": interrupt.unit,
        "index": interrupt.index,
        "format": None if interrupt.entry is None else "posted" if interrupt.posted else "remapped",
        "vector": interrupt.vector,
        "guest_vector": interrupt.guest_vector,
        "vcpu": interrupt.vcpu,
        "cpus": _list(interrupt.cpus),
        "affinity": _list(state.affinity if state else None),
        "status": state.status if state else None,
        "taken_by": interrupt.taker,
        "actions": interrupt.action_names,
        "guests": [
            {
                "domain": f"d{guest.domain}",
                "domain_id": guest.domain,
                "pirq": guest.pirq,
                "pending": guest.pending,
                "masked": guest.masked,
                "pirq_masked": guest.pirq_masked,
            }
            for guest in interrupt.guests
        ],
        "in_flight": interrupt.in_flight,
        "masked_by": list(interrupt.masks),
        "pending": list(interrupt.pending),
        "masks": None if msi is None else {"xen": msi.host_masked, "guest": msi.guest_masked, "device": msi.masked},
        "pin": None
        if interrupt.pin is None
        else {
            "ioapic": interrupt.pin.ioapic,
            "pin": interrupt.pin.pin,
            "masked": _flag(interrupt.pin.mask),
            "remote_irr": _flag(interrupt.pin.irr),
        },
    }


def numbers(values: Sequence[int] | None) -> str:
    """CPUs for a reader: `0-3,8`; `-` if they are not known."""
    if values is None:
        return "-"
    parts: list[list[int]] = []
    for value in sorted(values):
        if parts and parts[-1][1] == value - 1:
            parts[-1][1] = value
        else:
            parts.append([value, value])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts) or "none"


def entry_words(interrupt: Interrupt) -> str:
    """Unit and index of its entry."""
    if interrupt.index is None:
        return "-"
    unit = "?" if interrupt.unit is None else str(interrupt.unit)
    return f"{unit}:{interrupt.index:#x}{' posted' if interrupt.posted else ''}"


def vector_words(interrupt: Interrupt) -> str:
    """Xen's vector, and the guest's behind it."""
    host = "-" if interrupt.vector is None else f"{interrupt.vector:#04x}"
    return f"{host} ({interrupt.guest_vector:#04x} in guest)" if interrupt.guest_vector is not None else host


def _table(rows: Sequence[tuple[str, ...]], described: list[documents.Irq]) -> Table:
    short = {
        "TYPE": [row[1].replace("IO-APIC", "pin") for row in rows],
        "SOURCE": [row[2].partition(" irq ")[0].replace("IO-APIC ", "").replace(" pin ", ":") for row in rows],
        "VECTOR": [row[5].partition(" ")[0] for row in rows],
        "ENTRY": [row[4].replace(" posted", " p") for row in rows],
    }
    return Table(
        COLUMNS,
        rows,
        numeric=frozenset({"IRQ"}),
        short=short,
        spare=("TYPE", "OWNER", "CPUS", "PIRQ", "SOURCE"),
        records=described,
    )


def _row(interrupt: Interrupt) -> tuple[str, ...]:
    return (
        "-" if interrupt.irq is None else str(interrupt.irq),
        interrupt.type or "-",
        str(interrupt.source) if interrupt.source else "-",
        interrupt.owner or "-",
        entry_words(interrupt),
        vector_words(interrupt),
        numbers(interrupt.cpus),
        interrupt.taker,
        " ".join(f"d{guest.domain}:{guest.pirq}" for guest in interrupt.guests) or "-",
        ", ".join(interrupt.masks) or "-",
        ", ".join(interrupt.pending) or "-",
    )


def _last(value: int | None) -> tuple[bool, int]:
    """Numbers in order, what is not known at the end."""
    return value is None, value or 0


def _by_irq(interrupt: Interrupt) -> tuple[tuple[bool, int], ...]:
    return _last(interrupt.irq), _last(interrupt.unit), _last(interrupt.index)


def _wanted(interrupt: Interrupt, arguments: Arguments) -> bool:
    checks: Iterable[bool] = (
        arguments.unit in (None, interrupt.unit),
        arguments.device is None or _is_of(interrupt, arguments.device),
        arguments.domain is None or _is_domains(interrupt, arguments.domain),
        arguments.cpu is None or arguments.cpu in (interrupt.cpus or ()),
        arguments.vector is None or arguments.vector in (interrupt.vector, interrupt.guest_vector),
        not arguments.masked or bool(interrupt.masks),
        not arguments.pending or bool(interrupt.pending),
        not arguments.posted or interrupt.posted,
    )
    return all(checks)


def _is_of(interrupt: Interrupt, device: SourceId) -> bool:
    sbdf = interrupt.device
    return sbdf is not None and sbdf & 0xFFFF == device and device.is_on(sbdf >> 16)


def _is_domains(interrupt: Interrupt, domain: int) -> bool:
    bound = any(guest.domain == domain for guest in interrupt.guests)
    owned = interrupt.owner in (f"d{domain}", vm_name(domain))
    return bound or owned or (interrupt.vcpu or "").startswith((f"d{domain}v", f"{vm_name(domain)}v"))


def _flag(bit: int | None) -> bool | None:
    return None if bit is None else bool(bit)


def _list(values: Sequence[int] | None) -> list[int] | None:
    return None if values is None else list(values)


def _keys(snapshot: Snapshot) -> str:
    keys = [a.why.partition("key `")[2].partition("`")[0] for a in snapshot.absences if a.kind == NOT_PRINTED]
    found = [key for key in keys if key in ("V", "M", "i", "Q")]
    return f": it has no answer to the debug keys {', '.join(found)}" if found else ""


def _notes(snapshot: Snapshot) -> list[str]:
    absent = [
        a for a in snapshot.absences if a.kind == NOT_PRINTED and a.member in ("units", "msis", "irqs", "devices")
    ]
    if not absent:
        return []
    told = ", ".join(f"{a.why.partition('key `')[2].partition('`')[0]} ({a.subject})" for a in absent)
    return [f"the log has no answer to some debug keys, so parts of the table are not known: {told}"]
