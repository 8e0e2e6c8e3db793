"""Routes that start from what only the join of all keys knows: an irq, a vector, a domain's pirq, a device's irqs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from inspector.analysis import vcpu_words as words
from inspector.analysis.interrupt import Entry, Interrupt
from inspector.analysis.irqs import destination_cpus, interrupts, interrupts_of_sources
from inspector.analysis.route import Route, fires
from inspector.base.arguments import BadWord, read_number
from inspector.base.errors import NotHere, UsageError
from inspector.commands.argument_types import BDF, read_bdf
from inspector.commands.irqs import document_of, entry_words, numbers, vector_words
from inspector.model.answer import Answer, Block, Facts
from inspector.model.snapshot import Snapshot
from structs.irte import POSTED, REMAPPED

if TYPE_CHECKING:
    from inspector.model import documents

PIRQ = re.compile(r"d(\d{1,5}):(\d{1,5})", re.IGNORECASE)

Test = Callable[[Interrupt], bool]
ByEntry = Mapping[tuple[int | None, int | None], Interrupt]
"""The interrupts by unit and index of their entry."""


def answer(snapshot: Snapshot, what: Sequence[str]) -> Answer[documents.Route] | None:
    """The routes from an irq, a vector, a pirq, or a device that has an irq or a segment; None if it is none of these.

    Raises:
        UsageError: a word is wrong.
        NotHere: there is no such interrupt.
    """
    test, name = _test(what)
    if test is None:
        return None
    found = [each for each in interrupts(snapshot) if test(each)]
    if not found and BDF.fullmatch(what[0]):
        return None
    if not found:
        raise NotHere(f"{snapshot.target} tells of no interrupt of {name}")
    blocks: list[Block] = [Facts(rows(snapshot, each), _title(each)) for each in found]
    document: documents.Route = {"routes": [_document(snapshot, each) for each in found]}
    return Answer(document, blocks, absent=snapshot.absences)


def rows(snapshot: Snapshot, interrupt: Interrupt) -> list[tuple[str, str]]:
    """All that is known of an interrupt, from its source to who takes it."""
    facts = [
        ("source", str(interrupt.source) if interrupt.source else "not known"),
        ("owner", interrupt.owner or "not known"),
        ("irq", "not known" if interrupt.irq is None else f"{interrupt.irq} {interrupt.type}".strip()),
        ("entry", entry_words(interrupt) if interrupt.index is not None else "not known"),
        ("vector", vector_words(interrupt)),
        ("CPUs", numbers(interrupt.cpus if interrupt.cpus is not None else destination_cpus(snapshot, interrupt))),
        ("taken by", interrupt.taker),
    ]
    facts += [("bound to", f"d{guest.domain} as pirq {guest.pirq}") for guest in interrupt.guests]
    facts.append(("masked by", ", ".join(interrupt.masks) or _no_mask(interrupt)))
    facts.append(("pending", ", ".join(interrupt.pending) or ("nothing" if interrupt.state else "not known")))
    sentences = _fires(snapshot, interrupt)
    return facts + [("if it fires" if not at else "", sentence) for at, sentence in enumerate(sentences)]


def _no_mask(interrupt: Interrupt) -> str:
    """What can be said where nobody is known to mask it."""
    if interrupt.state is None and interrupt.msi is None and (interrupt.pin is None or interrupt.pin.mask is None):
        return "not known"
    if interrupt.pin and interrupt.pin.mask is None:
        return f"nobody in {interrupt.host}; the pin's own mask is not known"
    if interrupt.msi and interrupt.msi.masked is None:
        return f"nobody in {interrupt.host}; the device's own mask is not known"
    return "nobody"


def by_entry(snapshot: Snapshot) -> ByEntry:
    """The interrupts with an irq, by unit and index of their entry."""
    return {(each.unit, each.index): each for each in interrupts_of_sources(snapshot) if each.irq is not None}


def irq_rows(joined: ByEntry, route: Route) -> list[tuple[str, str]]:
    """What is known of the irq behind a route: its number, who has the device, who takes it, what holds it."""
    interrupt = joined.get((route.unit.index, route.entry["index"]))
    if interrupt is None:
        return []
    facts = [("irq", f"{interrupt.irq} {interrupt.type}".strip())]
    facts += [("owner", interrupt.owner)] if interrupt.owner else []
    facts += [("taken by", interrupt.taker)] if interrupt.state else []
    facts += [("bound to", f"d{guest.domain} as pirq {guest.pirq}") for guest in interrupt.guests]
    facts += [("masked by", ", ".join(interrupt.masks))] if interrupt.masks else []
    return facts + ([("pending", ", ".join(interrupt.pending))] if interrupt.pending else [])


def entry_document(entry: Entry) -> documents.Entry:
    """A remapping entry as the documents have it, reserved fields if they are not zero."""
    record = POSTED if entry["im"] else REMAPPED
    fields = {name: value for name, value in entry.items() if name == "index" or value or not record[name].reserved}
    return {"format": record.title, **fields}


def irq_document(joined: ByEntry, route: Route) -> documents.Irq | None:
    """The same, as `--json` prints it; null without an irq."""
    interrupt = joined.get((route.unit.index, route.entry["index"]))
    return document_of(interrupt) if interrupt else None


def _fires(snapshot: Snapshot, interrupt: Interrupt) -> list[str]:
    unit = next((unit for unit in snapshot.units if unit.index == interrupt.unit), None)
    if interrupt.entry is None or unit is None:
        return []
    return fires(snapshot, unit, interrupt.entry)


def _test(what: Sequence[str]) -> tuple[Test | None, str]:
    try:
        match what:
            case ["irq", word]:
                irq = read_number(word)
                return lambda each: each.irq == irq, f"irq {irq}"
            case ["vector", word]:
                vector = read_number(word)
                return lambda each: vector in (each.vector, each.guest_vector), f"vector {vector:#x}"
            case ["irq" | "vector"]:
                raise UsageError(f"route {what[0]}: which one? Expected a number")
            case [word] if pirq := PIRQ.fullmatch(word):
                domain, number = int(pirq[1]), int(pirq[2])
                return lambda each: _is_bound(each, domain, number), f"d{domain} as pirq {number}"
            case [word] if BDF.fullmatch(word):
                return _of_device(word), word
    except BadWord as error:
        raise UsageError(f"route: {error}") from None
    return None, ""


def _of_device(word: str) -> Test:
    """Interrupts of a device that have an irq; of any segment if the word names none."""
    sid = read_bdf(word)

    def test(each: Interrupt) -> bool:
        if each.device is None or each.irq is None or each.entry is not None:
            return False
        return each.device & 0xFFFF == sid and sid.is_on(each.device >> 16)

    return test


def _is_bound(interrupt: Interrupt, domain: int, pirq: int) -> bool:
    return any((guest.domain, guest.pirq) == (domain, pirq) for guest in interrupt.guests)


def _title(interrupt: Interrupt) -> str:
    return f"irq {interrupt.irq}" if interrupt.irq is not None else f"entry {entry_words(interrupt)}"


def _document(snapshot: Snapshot, interrupt: Interrupt) -> documents.RouteStep:
    irq = document_of(interrupt)
    vcpu = snapshot.by_name.get(interrupt.vcpu or "")
    return {
        "unit": interrupt.unit,
        "index": interrupt.index,
        "entry": entry_document(interrupt.entry) if interrupt.entry else None,
        "source": irq["source"],
        "vcpu": words.document(snapshot, vcpu) if vcpu else None,
        "irq": irq,
        "fires": _fires(snapshot, interrupt),
    }
