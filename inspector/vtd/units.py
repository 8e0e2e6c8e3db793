"""The VT-d units of a machine: found through the ACPI DMAR table or Xen's list, read by their registers.

Registers are device memory: a live target has them, a dump does not. Then Xen's `struct vtd_iommu` tells where the
tables are, and each value says which of the two it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from inspector.base.errors import NotHere, NotReadable
from inspector.model.vtd import Scope
from inspector.targets.target import Target
from inspector.xen.iommu import ENTRIES, Iommu
from structs.faults import FRCD
from structs.registers import BY_NAME, CAP, IRTA, fault_record_count, fault_record_offset, table_entries

WINDOW = 0x100
ABSENT = (0, (1 << 32) - 1)


@dataclass(frozen=True)
class RemappingTable:
    """Where a unit's interrupt-remapping table is. `irta` is the register's value, or what Xen programs into it."""

    irta: int
    base: int
    entries: int
    eime: int
    origin: str


@dataclass(frozen=True)
class UnitReader:
    """Reads one VT-d unit of a target, by its registers or else by what Xen keeps of it.

    Its properties raise NotHere where the target has no registers, and NotReadable where it refuses to read them.
    """

    target: Target
    index: int
    register_base: int
    segment: int
    scopes: tuple[Scope, ...]
    xen: Iommu | None
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
        """CAP's fields: from the register, or the value that Xen read at boot."""
        try:
            return self.register("CAP")
        except (NotHere, NotReadable):
            if self.xen is None:
                raise
            return dict(CAP.parse(self.xen.cap.to_bytes(8, "little")))

    @cached_property
    def table(self) -> RemappingTable:
        """Where the interrupt-remapping table is: IRTA, else Xen's `intremap.maddr`, with what Xen programs beside it.

        Raises:
            NotHere: neither can be read, or no table is set up.
        """
        try:
            fields, value, origin = self.register("IRTA"), self.raw_register("IRTA"), "IRTA"
        except NotHere:
            if self.xen is None or not self.xen.table:
                raise
            fields = {"irta": self.xen.table, "s": ENTRIES.bit_length() - 2, "eime": self.x2apic or 0}
            value, origin = int.from_bytes(IRTA.build(fields), "little"), "Xen's struct vtd_iommu"
        if not fields["irta"]:
            raise NotHere(f"unit {self.index} has no interrupt-remapping table: IRTA is {value:#x}")
        return RemappingTable(value, fields["irta"], table_entries(fields), fields["eime"], origin)
