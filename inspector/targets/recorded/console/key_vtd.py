"""The debug key `V`: each unit's remapping table, then the IO-APICs' pins (`vtd_dump_iommu_info`).

Rows up to 4.6 are `iiii: SVT SQ SID DST V AVL DLM TM RH DM FPD P`, from 4.7 on `R:` and `P:`. Numbers of units and
IO-APICs are hexadecimal, of any length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from inspector.targets.recorded.console.damage import CUT_OFF, Damage, left_out, match
from inspector.targets.recorded.console.key import Key
from inspector.targets.recorded.console.lines import Line
from structs.bits import BitRecord
from structs.frozen import frozen
from structs.irte import POSTED, REMAPPED

HEADER = re.compile(r"iommu (\S+): nr_pt_levels")
FEATURE = re.compile(r"\s*(Queued Invalidation|Interrupt Remapping|Interrupt Posting): (not )?supported( and enabled)?")
TABLE = re.compile(r"\s*Interrupt remapping table \(nr_entry=0x([0-9a-f]{1,16})")
COUNT = re.compile(r"\s*Warning: Print \d{1,10} IRTE \(actually have (\d{1,10})\)")
ROW = re.compile(r"\s*[RP]:\s+[0-9a-f]{4}:|\s*[0-9a-f]{4}:  ")
NEW_ROW = re.compile(r"\s*([RP]):\s+([0-9a-f]{4,5}):((?:\s+[0-9a-f]{1,16})+)")
OLD_ROW = re.compile(r"\s*()([0-9a-f]{4,5}):((?:\s+[0-9a-f]{1,16}){12})")
REDIRECTION = re.compile(r"Redirection table of IOAPIC (\S+):")
PIN_HEAD = re.compile(r"\s*#entry IDX FMT MASK TRIG IRR POL STAT DELI\s+VECTOR")
PIN = re.compile(r"\s*([0-9a-f]{2}):\s+([0-9a-f]{4})\s+(1)((?:\s+[01]){5}\s+[0-7])\s+([0-9a-f]{2})")
PIN_START = re.compile(r"\s*[0-9a-f]{2}:  [0-9a-f]{4} ")

ORDERS = {
    "R": (REMAPPED, ("svt", "sq", "sid", "vector", "avail", "fpd", "dst", "dlm", "tm", "rh", "dm", "p")),
    "P": (POSTED, ("svt", "sq", "sid", "vector", "avail", "fpd", "pda", "urg", "p")),
    "": (REMAPPED, ("svt", "sq", "sid", "dst", "vector", "avail", "dlm", "tm", "rh", "dm", "fpd", "p")),
}
"""By what a row begins with: its record, and its columns' fields in order."""

SIZES = frozenset(2 << s for s in range(16))
NUMBERS = 1024
"""More units or IO-APICs than any machine has."""

SIGN = 0xFFFFFFFF << 32
"""Bits 63:32 of a PDA whose bit 31 is set, as `V` prints it: it shifts a 26-bit field as a signed int."""


@dataclass
class UnitFacts:
    """A unit as `V` tells of it. `index` None: its header is not in the log. `signed`: entries whose PDA was printed
    sign-extended."""

    index: int | None
    size: int = 0
    posting: bool | None = None
    remapping: bool | None = None
    queue: bool | None = None
    in_use: int | None = None
    entries: dict[int, bytes] = field(default_factory=dict)
    signed: list[int] = field(default_factory=list)


@frozen
class PinFacts:
    """A pin in remappable format. `ioapic` None: the header is not in the log."""

    ioapic: int | None
    pin: int
    index: int
    mask: int
    tm: int
    irr: int
    pol: int
    delivs: int
    dlm: int
    vector: int


@dataclass
class Tables:
    """What an answer to `V` says."""

    units: list[UnitFacts] = field(default_factory=list)
    pins: list[PinFacts] = field(default_factory=list)
    ioapics: set[int] = field(default_factory=set)
    damaged: list[Damage] = field(default_factory=list)

    def unit(self, index: int | None) -> UnitFacts:
        """The unit of that number, a new one if there is none."""
        for unit in self.units:
            if unit.index == index:
                return unit
        self.units.append(UnitFacts(index))
        return self.units[-1]


def read(lines: Sequence[Line]) -> Tables:
    """The tables."""
    tables = Tables()
    unit: UnitFacts | None = None
    ioapic: int | None = None
    for line in lines:
        text = line.text
        if ROW.match(text):
            unit = unit or tables.unit(None)
            if row := match(NEW_ROW if text.lstrip()[:1] in "RP" else OLD_ROW, line, tables.damaged):
                _entry(unit, row, line, tables.damaged)
        elif PIN_START.match(text):
            if row := match(PIN, line, tables.damaged):
                tables.pins.append(_pin(ioapic, row))
        elif header := HEADER.match(text):
            unit, ioapic = tables.unit(_number(header[1], line, tables.damaged)), None
        elif redirection := REDIRECTION.match(text):
            unit, ioapic = None, _number(redirection[1], line, tables.damaged)
            if ioapic is not None:
                tables.ioapics.add(ioapic)
        elif (found := FEATURE.match(text)) and unit:
            _feature(unit, found)
        elif (found := TABLE.match(text)) and unit:
            _size(unit, int(found[1], 16), line, tables.damaged)
        elif (found := COUNT.match(text)) and unit:
            unit.in_use = int(found[1])
    return tables


def begins(text: str, before: Sequence[Line]) -> bool:
    """A header of a unit that the answer has already, or one after pins."""
    if not HEADER.match(text):
        return False
    header = text.split(":")[0]
    return any(REDIRECTION.match(line.text) or line.text.split(":")[0] == header for line in before)


def cut(facts: Tables, earlier: Tables | None) -> str | None:
    """A unit or an IO-APIC that an earlier answer has does not go away."""
    if ended := next((str(damage) for damage in facts.damaged if damage.done == CUT_OFF), None):
        return ended
    if earlier is None:
        return None
    known = {unit.index for unit in facts.units}
    if lost := [unit.index for unit in earlier.units if unit.index is not None and unit.index not in known]:
        return f"unit {lost[0]:#x} is not in it"
    if earlier.ioapics - facts.ioapics:
        return f"IO-APIC {min(earlier.ioapics - facts.ioapics)} is not in it"
    return "its beginning is not in the log" if None in known else None


KEY = Key(
    "V",
    re.compile(
        "|".join(f"(?:{p.pattern})" for p in (HEADER, FEATURE, TABLE, COUNT, ROW, REDIRECTION, PIN_HEAD, PIN_START))
    ),
    begins,
    read,
    cut,
)


def _number(word: str, line: Line, damaged: list[Damage]) -> int | None:
    """A number as Xen prints it with %x; None, and told, if the word is none."""
    if re.fullmatch("[0-9a-f]{1,3}", word) and int(word, 16) < NUMBERS:
        return int(word, 16)
    damaged.append(Damage(line.number, line.text, "its number is not known"))
    return None


def _size(unit: UnitFacts, size: int, line: Line, damaged: list[Damage]) -> None:
    """The table's size: IRTA.S makes it a power of two, 65,536 at most."""
    if size in SIZES:
        unit.size = size
    else:
        damaged.append(Damage(line.number, line.text, "the size is not known"))


def _feature(unit: UnitFacts, found: re.Match[str]) -> None:
    match found[1]:
        case "Interrupt Posting":
            unit.posting = not found[2]
        case "Interrupt Remapping":
            unit.remapping = bool(found[3])
        case _:
            unit.queue = bool(found[3])


def _entry(unit: UnitFacts, row: re.Match[str], line: Line, damaged: list[Damage]) -> None:
    record, names = ORDERS[row[1]]
    words = row[3].split()
    if len(words) != len(names):
        damaged.append(left_out(line))
        return
    values = {"im": int(row[1] == "P")} | {name: int(word, 16) for name, word in zip(names, words, strict=True)}
    index, pda = int(row[2], 16), values.get("pda", 0)
    signed = pda & SIGN == SIGN and pda & 1 << 31
    if signed:
        values["pda"] = pda & ~SIGN
    raw = _packed(record, values)
    if raw is None or not values["p"] or index >= (unit.size or max(SIZES)):
        damaged.append(left_out(line))
        return
    if signed:
        unit.signed.append(index)
    unit.entries[index] = raw


PIECES = {
    record: {
        f.name: tuple((p.low, p.at, (1 << p.width) - 1) for p in f.pieces) for f in record.fields if not f.reserved
    }
    for record in (REMAPPED, POSTED)
}
"""Where each field's bits go, by record: (bit of the record, bit of the value, mask)."""


def _packed(record: BitRecord, values: dict[str, int]) -> bytes | None:
    """An entry of these values; None if one does not fit its field. As `BitRecord.build`, for many thousand rows."""
    whole = 0
    for name, value in values.items():
        left = value
        for low, at, mask in PIECES[record][name]:
            part = value >> at & mask
            whole |= part << low
            left ^= part << at
        if left:
            return None
    return whole.to_bytes(record.size, "little")


def _pin(ioapic: int | None, row: re.Match[str]) -> PinFacts:
    mask, tm, irr, pol, delivs, dlm = (int(digit, 16) for digit in row[4].split())
    return PinFacts(ioapic, int(row[1], 16), int(row[2], 16), mask, tm, irr, pol, delivs, dlm, int(row[5], 16))
