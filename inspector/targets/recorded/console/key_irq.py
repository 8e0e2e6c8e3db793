"""The debug key `i`: every irq, whose it is, direct vectors, and the IO-APICs' pins (`dump_irqs`,
`dump_ioapic_irq_info`).

4.2 and 4.3 call it "Guest interrupt information", with four letters for a guest (PSMM); up to 4.12 a row is
`affinity: vec: type= status= ... domain-list=`, from 4.13 on `vec: TYPE status= aff:{}/{}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console import cpus
from inspector.targets.recorded.console.damage import CUT_OFF, Damage, match
from inspector.targets.recorded.console.key import Key, at
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

HEADER = r"(?:Guest interrupt|IRQ) information:"
DIRECT_HEADER = r"Direct vector information:"
PINS_HEADER = r"IO-APIC interrupt information:"
START = r"\s*IRQ:\s*\d{1,10} "
USE = (
    r"(?:Z=\S+\s+)?(?:in-flight=(?P<flight>\d{1,10})\s*(?:domain-list=)?(?P<guests>.*)|(?P<free>mapped, unbound)|"
    r"(?P<action>\S.*))"
)
NEW_ROW = re.compile(
    rf"\s*IRQ:\s*(?P<irq>\d{{1,10}}) vec:(?P<vec>[0-9a-f]{{2}}) (?P<type>\S+)\s+status=(?P<status>[0-9a-f]{{3,8}})"
    rf" aff:(?P<aff>{cpus.LISTED})/(?P<cpus>{cpus.LISTED})\s+{USE}"
)
OLD_ROW = re.compile(
    rf"\s*IRQ:\s*(?P<irq>\d{{1,10}}) affinity:(?P<aff>{cpus.MASK}) vec:(?P<vec>[0-9a-f]{{2}}) type=(?P<type>\S+)\s+"
    rf"status=(?P<status>[0-9a-f]{{8}})(?P<cpus>)\s+{USE}"
)
GUEST = re.compile(r"d?(\d{1,10}):\s*(-?\d{1,10})\(([-P?])[-S]?([-M?])([-M])\),?\s*")
DIRECT = re.compile(r"\s*0x([0-9a-f]{2}) -> (\S+?)\(\)")
DIRECT_START = r"\s*0x[0-9a-f]{2} -> "
PIN_IRQ = re.compile(r"\s*IRQ\s*(\d{1,10}) Vec\s*(-?\d{1,10}):")
PIN_START = r"\s*Apic 0x[0-9a-f]+, Pin"
PIN = re.compile(
    r"\s*Apic 0x([0-9a-f]{2,3}), Pin\s+(\d{1,10}): vec=([0-9a-f]{2}) delivery=(\S+)\s+dest=([LP]) status=([01])"
    r" polarity=([01]) irr=([01]) trig=([LE]) mask=([01]) dest_id:([0-9a-f]{1,16})"
)
DELIVERY = {"Fixed": 0, "LoPri": 1, "SMI": 2, "NMI": 4, "INIT": 5, "ExINT": 7}
HEX_DIGITS = (2, 8)
"""How many digits a destination has where it is hexadecimal, from 4.13 on."""


@frozen
class GuestFacts:
    """A domain that an irq is bound to: its number for it, whether the event is pending or masked (None where Xen could
    not tell), and whether the pirq is masked."""

    domain: int
    pirq: int
    pending: bool | None
    masked: bool | None
    pirq_masked: bool


@frozen
class IrqFacts:
    """An irq. `cpus` are those that its vector is set up on (from 4.13 on), `in_flight` counts what guests have not
    ended, `action` is Xen's own handler."""

    irq: int
    vector: int
    type: str
    status: int
    affinity: tuple[int, ...] | None
    cpus: tuple[int, ...] | None
    in_flight: int | None
    guests: tuple[GuestFacts, ...]
    action: str | None


@frozen
class PinFacts:
    """An IO-APIC's pin, translated back through its remapping entry. `irq` None: that line is not in the log."""

    irq: int | None
    ioapic: int
    pin: int
    vector: int
    dlm: int | None
    dm: int
    delivs: int
    pol: int
    irr: int
    tm: int
    mask: int
    dest: int


@dataclass
class Irqs:
    """What an answer to `i` says. `headed`: a part's header comes first. `direct` is None if that part is not there."""

    headed: bool = False
    rows: list[IrqFacts] = field(default_factory=list)
    direct: dict[int, str] | None = None
    pins: list[PinFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> Irqs:
    """All three parts."""
    found = Irqs(bool(re.match(f"{HEADER}|{DIRECT_HEADER}|{PINS_HEADER}", lines[0].text)))
    decimal = any(re.match(START, line.text) and "affinity:" in line.text for line in lines)
    irq: int | None = None
    for line in lines:
        text = line.text
        if re.match(START, text):
            if row := match(OLD_ROW if " affinity:" in text else NEW_ROW, line, found.damaged):
                _irq(found, row, line)
        elif re.match(DIRECT_HEADER, text):
            found.direct = found.direct or {}
        elif re.match(DIRECT_START, text):
            if row := match(DIRECT, line, found.damaged):
                found.direct = (found.direct or {}) | {int(row[1], 16): row[2].rpartition("#")[2]}
        elif row := PIN_IRQ.match(text):
            irq = int(row[1])
        elif re.match(PIN_START, text) and (row := match(PIN, line, found.damaged)):
            found.pins.append(_pin(irq, row, decimal))
    return found


def cut(facts: Irqs, earlier: Irqs | None) -> str | None:
    """Its parts come in order: rows, direct vectors (from 4.4 on), pins."""
    if not facts.headed:
        return "its beginning is not in the log"
    if earlier and earlier.direct is not None and facts.direct is None:
        return "its direct vectors are not in it"
    if earlier and len(earlier.pins) > len(facts.pins):
        return "not all of its IO-APIC pins are in it"
    return next((str(d) for d in facts.damaged if d.done == CUT_OFF), None)


KEY = Key(
    "i",
    re.compile(
        "|".join(
            (HEADER, DIRECT_HEADER, PINS_HEADER, START, DIRECT_START, r"\s*IRQ\s*\d{1,10} Vec\s*-?\d{1,10}:", PIN_START)
        )
    ),
    at(HEADER),
    read,
    cut,
)


def _irq(found: Irqs, row: re.Match[str], line: Line) -> None:
    guests = list(GUEST.finditer(row["guests"] or ""))
    if (
        sum(len(guest[0]) for guest in guests) != len((row["guests"] or "").strip())
        and "".join(guest[0] for guest in guests).strip() != (row["guests"] or "").strip()
    ):
        found.damaged.append(Damage(line.number, line.text, "its guests are not known"))
        guests = []
    found.rows.append(
        IrqFacts(
            irq=int(row["irq"]),
            vector=int(row["vec"], 16),
            type=row["type"],
            status=int(row["status"], 16),
            affinity=cpus.cpus(row["aff"]),
            cpus=cpus.cpus(row["cpus"]) if row["cpus"] else None,
            in_flight=None if row["flight"] is None else int(row["flight"]),
            guests=tuple(_guest(guest) for guest in guests),
            action=_function(row["action"]) if row["action"] else None,
        )
    )


def _function(text: str) -> str:
    """`arch/x86/time.c#timer_interrupt()` as `timer_interrupt`, `foo+0/0x10` of 4.3 as `foo`."""
    return re.split(r"[+(]", text.rpartition("#")[2])[0].strip()


def _guest(guest: re.Match[str]) -> GuestFacts:
    told = {"P": True, "M": True, "-": False}
    return GuestFacts(int(guest[1]), int(guest[2]), told.get(guest[3]), told.get(guest[4]), guest[5] == "M")


def _pin(irq: int | None, row: re.Match[str], decimal: bool) -> PinFacts:
    return PinFacts(
        irq=irq,
        ioapic=int(row[1], 16),
        pin=int(row[2]),
        vector=int(row[3], 16),
        dlm=DELIVERY.get(row[4]),
        dm=int(row[5] == "L"),
        delivs=int(row[6]),
        pol=int(row[7]),
        irr=int(row[8]),
        tm=int(row[9] == "L"),
        mask=int(row[10]),
        dest=int(row[11], 10 if decimal and row[11].isdigit() else 16),
    )
