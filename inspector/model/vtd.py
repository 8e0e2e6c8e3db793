"""A VT-d unit as it was found: plain data, large tables read when first asked for."""

from __future__ import annotations

from inspector.model.absence import Absence
from inspector.model.deferred import Deferred, deferrable
from structs.frozen import frozen
from structs.registers import BY_NAME

HAW_AT = 36
"""Where the DMAR table has its host address width, less 1 (VT-d 8.1)."""
IOAPIC, HPET = 3, 4
"""Kinds of `Platform` and `Scope`, as the DMAR table has them."""


@frozen
class Platform:
    """An IO-APIC (kind 3) or HPET (kind 4) that uses the unit, by the source-id that it uses.

    `enumeration_id` is the one that the DMAR table, or Xen's copy of it, has; for an IO-APIC its APIC id.
    """

    kind: int
    enumeration_id: int | None
    sid: int


@frozen
class Hop:
    """A step on the way from a start bus to a device: over bridges, the last one is the device."""

    device: int
    function: int


@frozen
class Scope:
    """A device that the DMAR table assigns to a unit: kind (`structs.dmar.SCOPE_NAMES` key), enumeration id, path, and
    its source-id if it lies on its start bus, so that no bridge has to be asked for its secondary bus."""

    kind: int
    enumeration_id: int | None
    sid: int | None
    start_bus: int = 0
    path: tuple[Hop, ...] = ()
    flags: int = 0


@frozen
class Structure:
    """A structure of the DMAR table as Xen's boot messages tell of it.

    Attributes:
        kind: `DRHD`, `RMRR`, `ATSR`, `RHSA`, `SATC`.
        base, limit: of a unit's registers or of reserved memory.
        all: INCLUDE_ALL of a unit, ALL_PORTS.
        proximity: the unit's NUMA domain.
        scopes: the devices that it names.
    """

    kind: str
    base: int | None = None
    limit: int | None = None
    all: bool = False
    proximity: int | None = None
    scopes: tuple[Scope, ...] = ()


@frozen
class Register:
    """A register's name, as `structs.registers` has it, and its value."""

    name: str
    value: int


@frozen
class Fault:
    """A fault record (FRCD) that is not clear, or a line about one on Xen's console.

    `kind` is FRCD's type, T2 and T1, and `count` how often the source told of it.
    """

    record: int
    pending: int
    reason: int
    sid: int
    info: int
    kind: int | None = None
    count: int = 1


@frozen
class Gap:
    """Entries of a remapping table that could not be read: the first one's index, and how many."""

    first: int
    count: int


@frozen
class Dmar:
    """The ACPI DMAR table: its physical address, and its bytes (`structs.dmar.DMAR`)."""

    address: int
    raw: bytes

    @property
    def host_address_width(self) -> int | None:
        """The bits of a physical address; None if they are too few or the table tells nonsense."""
        width = self.raw[HAW_AT] + 1 if len(self.raw) > HAW_AT else 0
        return width if 32 <= width <= 64 else None


@frozen
class Queue:
    """The ring of an invalidation queue: its physical address, its bytes, and the size of one descriptor.

    `head` and `tail` are slots; None where no register tells.
    """

    base: int
    raw: bytes
    size: int
    head: int | None
    tail: int | None

    @property
    def count(self) -> int:
        """Slots."""
        return len(self.raw) // self.size


@deferrable
@frozen
class VtdUnit(Deferred):
    """A VT-d unit and the entries of its interrupt-remapping table.

    Attributes:
        base, size: of the table; `size` in entries. `base` is None if there is no table, 0 if its place is not known.
        origin: what told where the table is.
        cap_pi: CAP.PI, 1 if the unit can post.
        in_use: how many entries Xen counts as allocated.
        indices: of the present entries, ascending.
        raw: those entries, 16 bytes each.
        fsts, iqh, iqt: registers; None where the target has none.
        faults: the fault records that are not clear.
        irta: the register's value, or what Xen programs into it.
        cap, ecap: CAP and ECAP: the registers, or what Xen read at boot.
        stale_indices, stale_raw: entries that are not present and yet not all zero.
        gaps: entries that could not be read.
        registers: those of `structs.registers` that were read; empty where the target has none.
        frcd: all fault recording registers, 16 bytes each.
        scopes: the devices that the DMAR table names.
        include_all: whether it serves all devices of its segment that no other unit names.
        absent: what could not be read of it.
    """

    index: int | None
    register_base: int
    segment: int = 0
    base: int | None = None
    size: int = 0
    eime: int = 0
    origin: str = ""
    cap_pi: int | None = None
    in_use: int | None = None
    indices: tuple[int, ...] = ()
    raw: bytes = b""
    fsts: int | None = None
    iqh: int | None = None
    iqt: int | None = None
    faults: tuple[Fault, ...] = ()
    platform: tuple[Platform, ...] = ()
    irta: int | None = None
    cap: int | None = None
    ecap: int | None = None
    stale_indices: tuple[int, ...] = ()
    stale_raw: bytes = b""
    gaps: tuple[Gap, ...] = ()
    registers: tuple[Register, ...] = ()
    queue: Queue | None = None
    frcd: bytes = b""
    scopes: tuple[Scope, ...] = ()
    include_all: bool = False
    absent: tuple[Absence, ...] = ()

    def __repr__(self) -> str:
        # Its members are pages of bytes, and to ask for one may read it.
        return f"<{self.name} at {self.registers_at}>"

    @property
    def registers_at(self) -> str:
        """Where its registers are, in words: a log does not tell."""
        return f"{self.register_base:#x}" if self.register_base else "unknown"

    @property
    def name(self) -> str:
        """How findings name it: `unit 0`."""
        return "unit not known" if self.index is None else f"unit {self.index}"

    def is_absent(self, member: str) -> bool:
        """Whether a member could not be read, as far as was tried."""
        return any(absence.member == member for absence in self.absent)

    def raw_register(self, name: str) -> int | None:
        """A register's value; None if it was not read."""
        return next((register.value for register in self.registers if register.name == name), None)

    def register(self, name: str) -> dict[str, int] | None:
        """A register's fields by mnemonic; None if it was not read."""
        value = self.raw_register(name)
        return None if value is None else BY_NAME[name].record.values(value)
