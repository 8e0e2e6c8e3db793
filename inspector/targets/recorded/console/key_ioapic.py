"""The debug key `z`: the IO-APICs' registers, entries translated back through the remapping table (`print_IO_APIC`).

Rows up to 4.12 are `NR Log Phy Mask Trig IRR Pol Stat Dest Deli Vect`; from 4.13 on `NR Dst` or, in x2APIC mode,
`NR DestID`, then `Msk Trg IRR Pol Stat DstM DelM Vec`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import Damage, match
from inspector.targets.recorded.console.key import Key, at
from inspector.targets.recorded.console.lines import Line
from structs.frozen import frozen

HEADER = r"number of MP IRQ sources:"
APIC = re.compile(r"IO APIC #(\d{1,10})\.\.\.\.\.\.")
VERSION = re.compile(r"\.\.\.\.\.\.\.\s+: IO APIC version: ([0-9A-F]{4})")
REGISTER = r"\.\.\.\.+\s+(?:register #|: |IRQ redirection table)"
COLUMNS = r"\s*NR (?:Log|Dst| ?DestID)"
START = r"\s*[0-9a-f]{2}\s+[0-9a-fA-F]{2,8}\s+(?:[0-9a-fA-F]{2}\s+)?\d\s+\d\s+\d\s"
BITS = r"([01])\s+" * 6 + r"([0-7])\s+"
"""Mask, trigger mode, IRR, polarity, delivery status, destination mode; delivery mode."""

OLD_ROW = re.compile(rf"\s*([0-9a-f]{{2}}) ([0-9A-F]{{3}}) ([0-9A-F]{{2}})\s+{BITS}([0-9A-F]{{2}})")
NEW_ROW = re.compile(rf"\s*([0-9a-f]{{2}})\s+()([0-9a-f]{{2}}|[0-9a-f]{{8}})\s+{BITS}([0-9A-F]{{2}})")
MAPPING = re.compile(r"IRQ(\d{1,10}) ((?:-> \d{1,10}:\d{1,10})+)")
MAPPING_START = r"IRQ\d{1,10} -> "
DONE = r"\.{20,}\s*done\."


@frozen
class PinFacts:
    """A pin: its entry's fields by mnemonic, `dest` in full."""

    pin: int
    dest: int
    mask: int
    tm: int
    irr: int
    pol: int
    delivs: int
    dm: int
    dlm: int
    vector: int


@dataclass
class IoApicFacts:
    """An IO-APIC. `id` is None, and the pins those of nobody known, if its header is not in the log."""

    id: int | None
    version: int | None = None
    pins: list[PinFacts] = field(default_factory=list)


@dataclass
class IoApics:
    """What an answer to `z` says; the IO-APICs in Xen's order."""

    headed: bool = False
    done: bool = False
    ioapics: list[IoApicFacts] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)


def read(lines: Sequence[Line]) -> IoApics:
    """The tables."""
    found = IoApics(bool(re.match(HEADER, lines[0].text)))
    row_form = NEW_ROW
    for line in lines:
        text = line.text
        if apic := APIC.match(text):
            found.ioapics.append(IoApicFacts(int(apic[1])))
        elif (version := VERSION.match(text)) and found.ioapics:
            found.ioapics[-1].version = int(version[1], 16)
        elif re.match(COLUMNS, text):
            row_form = OLD_ROW if " Log " in text else NEW_ROW
        elif re.match(START, text):
            if not found.ioapics:
                found.ioapics.append(IoApicFacts(None))
                row_form = OLD_ROW if OLD_ROW.fullmatch(text) else NEW_ROW
            if row := match(row_form, line, found.damaged):
                found.ioapics[-1].pins.append(_pin(row))
        elif re.match(DONE, text):
            found.done = True
    return found


def cut(facts: IoApics, earlier: IoApics | None) -> str | None:
    """It ends with "done."."""
    if not facts.headed:
        return "its beginning is not in the log"
    return None if facts.done else "its end is not in the log"


KEY = Key(
    "z",
    re.compile("|".join((HEADER, APIC.pattern, REGISTER, COLUMNS, START, MAPPING_START, DONE))),
    at(HEADER),
    read,
    cut,
)


def _pin(row: re.Match[str]) -> PinFacts:
    values = [int(digit) for digit in row.group(4, 5, 6, 7, 8, 9, 10)]
    # Before 4.13 logical_dest and physical_dest are printed; the first is the whole byte.
    mask, tm, irr, pol, delivs, dm, dlm = values
    dest = int(row[2] or row[3], 16)
    return PinFacts(int(row[1], 16), dest, mask, tm, irr, pol, delivs, dm, dlm, int(row[11], 16))
