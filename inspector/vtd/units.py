"""The VT-d units of a machine: found through the ACPI DMAR table or a kernel's list, read by their registers, and as
the snapshot has them, each part read when first asked for.

Registers are device memory: a live target has them, a dump does not. Then the kernel that owns the unit (Xen's `struct
vtd_iommu`, Linux's `struct intel_iommu`) tells where the tables are, and each value says which of them it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from inspector.base.errors import UNREADABLE, NotHere, NotReadable
from inspector.kernels.host import HostUnit
from inspector.model.absence import NOT_APPLICABLE, Absence, unreadable
from inspector.model.deferred import Part, defer
from inspector.model.vtd import HPET, IOAPIC, Fault, Platform, Register, Scope, VtdUnit
from inspector.targets.target import Target
from inspector.vtd import queue, remapping
from inspector.vtd.remapping import RemappingTable
from structs.bits import packed
from structs.columns import columns, rows
from structs.faults import FRCD
from structs.frozen import frozen
from structs.registers import BY_NAME, CAP, IRTA, REGISTERS, fault_record_count, fault_record_offset, table_entries

WINDOW = 0x100
ABSENT = (0, (1 << 32) - 1)


@frozen
class UnitReader:
    """Reads one VT-d unit of a target, by its registers or else by what the kernel that owns it keeps.

    Its properties raise NotHere where the target has no registers, and NotReadable where it refuses to read them.
    """

    target: Target
    index: int
    register_base: int
    segment: int
    scopes: tuple[Scope, ...]
    known: HostUnit | None
    x2apic: int | None
    include_all: bool = False

    @cached_property
    def window(self) -> bytes:
        """The first 256 bytes of the register window: all of `structs.registers.REGISTERS`."""
        try:
            raw = self.target.read(self.register_base, WINDOW)
        except NotReadable:
            raise NotHere(
                f"unit {self.index}'s registers at {self.register_base:#x} are device memory, which "
                f"{self.target.description} does not hold; read them live"
            ) from None
        if int.from_bytes(raw[:4], "little") in ABSENT:
            raise NotHere(
                f"unit {self.index}: no VT-d registers at {self.register_base:#x} (version register reads "
                f"{int.from_bytes(raw[:4], 'little'):#x}); is this the machine that the DMAR table describes?"
            )
        return raw

    def register(self, name: str) -> dict[str, int]:
        """A register's fields by mnemonic."""
        register = BY_NAME[name]
        return dict(register.record.parse(self.window[register.offset : register.offset + register.size]))

    def raw_register(self, name: str) -> int:
        """A register's value."""
        register = BY_NAME[name]
        return int.from_bytes(self.window[register.offset : register.offset + register.size], "little")

    @cached_property
    def fault_records(self) -> bytes:
        """All fault recording registers, 16 bytes each."""
        cap = self.register("CAP")
        start = self.register_base + fault_record_offset(cap)
        return self.target.read(start, FRCD.size * fault_record_count(cap))

    @cached_property
    def capabilities(self) -> Mapping[str, int]:
        """CAP's fields: from the register, or the value that its kernel read at boot."""
        try:
            return self.register("CAP")
        except (NotHere, NotReadable):
            if self.known is None:
                raise
            return CAP.values(self.known.cap)

    @cached_property
    def table(self) -> RemappingTable:
        """Where the interrupt-remapping table is: IRTA, else as its kernel keeps it, with what that programs.

        Raises:
            NotHere: neither can be read, or no table is set up.
        """
        try:
            fields, value, origin = self.register("IRTA"), self.raw_register("IRTA"), "IRTA"
        except NotHere:
            known = self.known
            if known is None or not known.table:
                raise
            eime = (self.x2apic or 0) if known.eime is None else known.eime
            fields = {"irta": known.table, "s": known.entries.bit_length() - 2, "eime": eime}
            value, origin = packed(IRTA, fields), known.origin
        if not fields["irta"]:
            raise NotHere(f"unit {self.index} has no interrupt-remapping table: IRTA is {value:#x}")
        return RemappingTable(value, fields["irta"], table_entries(fields), fields["eime"], origin)


def unit_of(unit: UnitReader, check: Callable[[], None]) -> VtdUnit:
    """The unit. `check` is called before each part is read, and raises if that would be of another moment."""
    return _Capture(unit, check).made


class _Capture:
    """One unit, and what turned out to be absent of it."""

    def __init__(self, unit: UnitReader, check: Callable[[], None]) -> None:
        self._unit = unit
        self._check = check
        self._absent: list[Absence] = []
        known = {
            "index": unit.index,
            "register_base": unit.register_base,
            "segment": unit.segment,
            "in_use": unit.known.in_use if unit.known else None,
            "scopes": unit.scopes,
            "include_all": unit.include_all,
            "platform": _platform(unit),
            "absent": (),
        }
        parts: Sequence[tuple[tuple[str, ...], Part]] = (
            (("cap", "ecap", "cap_pi"), self._capabilities),
            (("base", "size", "eime", "origin", "irta"), self._place),
            (("indices", "raw", "stale_indices", "stale_raw", "gaps"), self._entries),
            (("registers", "fsts", "iqh", "iqt"), self._registers),
            (("queue",), self._queue),
            (("faults", "frcd"), self._faults),
        )
        self.made = defer(VtdUnit, known, [(names, self._told(part)) for names, part in parts])

    def _told(self, part: Part) -> Part:
        def read() -> Mapping[str, Any]:
            self._check()
            self._absent = []
            values = part()
            return {**values, "absent": tuple(self._absent)}

        return read

    def _has_registers(self) -> bool:
        if self._no_registers:
            self._absent.append(self._no_registers)
        return self._no_registers is None

    @cached_property
    def _no_registers(self) -> Absence | None:
        try:
            self._unit.window  # noqa: B018 - read, or an error says why not
        except UNREADABLE as error:
            return Absence(NOT_APPLICABLE, self._name, str(error), "registers", self._unit.register_base)
        return None

    @property
    def _name(self) -> str:
        return f"unit {self._unit.index}"

    def _capabilities(self) -> Mapping[str, Any]:
        if self._has_registers():
            cap, ecap = self._unit.raw_register("CAP"), self._unit.raw_register("ECAP")
        elif self._unit.known:
            cap, ecap = self._unit.known.cap, self._unit.known.ecap
        else:
            return {"cap": None, "ecap": None, "cap_pi": None}
        return {"cap": cap, "ecap": ecap, "cap_pi": CAP["pi"].extract(cap)}

    def _place(self) -> Mapping[str, Any]:
        try:
            table = self._unit.table
        except UNREADABLE:
            return {"base": None, "size": 0, "eime": 0, "origin": "", "irta": None}
        return {
            "base": table.base,
            "size": table.entries,
            "eime": table.eime,
            "origin": table.origin,
            "irta": table.irta,
        }

    def _entries(self) -> Mapping[str, Any]:
        nothing = {"indices": (), "raw": b"", "stale_indices": (), "stale_raw": b"", "gaps": ()}
        try:
            table = self._unit.table
            entries = remapping.read(self._unit.target, table, self._name)
        except UNREADABLE as error:
            self._absent.append(unreadable(self._name, error, "raw"))
            return nothing
        if entries.missing:
            why = f"{entries.missing} bytes of the table at {table.base:#x} cannot be read"
            self._absent.append(unreadable(self._name, why, "raw", table.base))
        used, stale = entries.used(), entries.stale_indices()
        return {
            "indices": tuple(used.tolist()),
            "raw": entries.raw[used].tobytes(),
            "stale_indices": tuple(stale.tolist()),
            "stale_raw": entries.raw[stale].tobytes(),
            "gaps": entries.gaps,
        }

    def _registers(self) -> Mapping[str, Any]:
        if not self._has_registers():
            return {"registers": (), "fsts": None, "iqh": None, "iqt": None}
        values = {register.name: self._unit.raw_register(register.name) for register in REGISTERS}
        return {
            "registers": tuple(Register(name, value) for name, value in values.items()),
            "fsts": values["FSTS"],
            "iqh": values["IQH"],
            "iqt": values["IQT"],
        }

    def _queue(self) -> Mapping[str, Any]:
        try:
            return {"queue": queue.read(self._unit)}
        except UNREADABLE as error:
            self._absent.append(Absence(NOT_APPLICABLE, self._name, str(error), "queue"))
            return {"queue": None}

    def _faults(self) -> Mapping[str, Any]:
        if not self._has_registers():
            return {"faults": (), "frcd": b""}
        try:
            raw = self._unit.fault_records
        except UNREADABLE as error:
            self._absent.append(unreadable(self._name, f"unit {self._unit.index}'s fault records: {error}", "faults"))
            return {"faults": (), "frcd": b""}
        found = (
            Fault(number, record["f"], record["fr"], record["sid"], record["fi"], record["t2"] << 1 | record["t1"])
            for number, record in enumerate(rows(columns(FRCD, raw)))
            if record["f"] or record["fr"]
        )
        return {"faults": tuple(found), "frcd": raw}


def _platform(unit: UnitReader) -> tuple[Platform, ...]:
    """The IO-APICs and HPETs behind the unit: from the DMAR table, and those that only a kernel's copy tells of."""
    known = {
        (scope.kind, scope.enumeration_id): scope.sid
        for scope in unit.scopes
        if scope.kind in (IOAPIC, HPET) and scope.sid is not None
    }
    for at in unit.known.platform if unit.known else ():
        known.setdefault((at.kind, at.enumeration_id), at.sid)
    return tuple(Platform(kind, number, sid) for (kind, number), sid in known.items())
