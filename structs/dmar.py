"""The ACPI DMA remapping table (VT-d chapter 8): which remapping units there are, and which devices each serves.

Xen renames the table that it has read, so that dom0 leaves it alone (`SIGNATURES`); the signature is kept as it stands.

    >>> scope = {"type": 3, "enumeration_id": 0, "start_bus": 0xFF, "path": [{"device": 0, "function": 0}]}
    >>> unit = {"type": 0, "body": {"flags": {"include_pci_all": 1}, "base": 0xFED9_0000, "scopes": [scope]}}
    >>> raw = DMAR.build({"signature": b"RMAD", "body": {**EMPTY_HEADER, "haw": 38, "structures": [unit]}})
    >>> body = DMAR.parse(raw)["body"]
    >>> NAMES[body["structures"][0]["type"]], hex(body["structures"][0]["body"]["base"]), body["rest"]
    ('DRHD', '0xfed90000', b'')
    >>> SCOPE_NAMES[body["structures"][0]["body"]["scopes"][0]["type"]]
    'IOAPIC'

Structures of unknown type are kept as bytes. Parsing stops at the first one that is not sound (a length of zero, too
short for its type, or beyond the table); it and all that follows is in `rest`. A structure's own `rest` is what its
scopes do not take. For anything that parses, build(parse(raw)) == raw; building computes lengths.

Raises (parse): construct.ConstructError if the table is shorter than its header, or than the length it states.
"""

from __future__ import annotations

from collections.abc import Mapping

from construct import (
    Bytes,
    Default,
    GreedyBytes,
    GreedyRange,
    Int8ul,
    Int16ul,
    Int32ul,
    Int64ul,
    Rebuild,
    Struct,
    Switch,
    this,
)

from structs.acpi import EMPTY_HEADER, sized, table
from structs.bits import BitRecord, field

__all__ = ["DMAR", "EMPTY_HEADER", "NAMES", "SCOPE", "SCOPE_NAMES", "SIGNATURES", "STRUCTURE"]

TABLE_FLAGS = BitRecord(
    "DMAR flags",
    1,
    field("intr_remap", 0, help="the platform supports interrupt remapping"),
    field("x2apic_opt_out", 1, help="the firmware asks the system not to use x2APIC mode"),
    field("dma_ctrl_platform_opt_in", 2, help="the firmware controls DMA before it hands over"),
    source="VT-d 8.1",
)
DRHD_FLAGS = BitRecord(
    "DRHD flags",
    1,
    field("include_pci_all", 0, help="the unit serves all devices of the segment that no other unit names"),
    source="VT-d 8.3",
)
DRHD_SIZE = BitRecord(
    "DRHD size", 1, field("size", (3, 0), help="the register window has 2^SIZE pages"), source="VT-d 8.3"
)
ATSR_FLAGS = BitRecord(
    "ATSR flags", 1, field("all_ports", 0, help="all root ports of the segment support ATS"), source="VT-d 8.5"
)
SATC_FLAGS = BitRecord(
    "SATC flags", 1, field("atc_required", 0, help="the devices work only with ATS"), source="VT-d 8.8"
)
SCOPE_FLAGS = BitRecord(
    "device scope flags",
    1,
    field("req_wo_pasid_nested_notallowed", 0, help="requests without PASID must not use nested translation"),
    field("req_wo_pasid_pwsnp_notallowed", 1, help="requests without PASID must not use PWSNP"),
    field("req_wo_pasid_pgsnp_notallowed", 2, help="requests without PASID must not use PGSNP"),
    field("atc_hardened", 3, help="the device's translation cache is hardened"),
    field("atc_required", 4, help="the device works only with ATS"),
    source="VT-d 8.3.1",
)

SCOPE_NAMES = {
    1: "PCI endpoint",
    2: "PCI sub-hierarchy",
    3: "IOAPIC",
    4: "MSI-capable HPET",
    5: "ACPI namespace device",
}

_PATH = Struct("device" / Int8ul, "function" / Int8ul)
SCOPE = Struct(
    "type" / Int8ul,
    "length" / Rebuild(Int8ul, lambda this: 6 + 2 * len(this.path) + len(this.get("rest") or b"")),
    "flags" / Default(SCOPE_FLAGS.schema, {}),
    "reserved" / Default(Int8ul, 0),
    "enumeration_id" / Int8ul,
    "start_bus" / Int8ul,
    "path" / _PATH[(this.length - 6) // 2],
    "rest" / Default(Bytes((this.length - 6) % 2), b""),
)
"""Device scope (VT-d 8.3.1). `enumeration_id`: IOAPIC id, HPET number or ANDD number. `path`: the first hop starts at
`start_bus`, each further one at the secondary bus of the bridge before it."""

_SCOPES = ("scopes" / Default(GreedyRange(SCOPE), []), "rest" / Default(GreedyBytes, b""))
_SEGMENT = "segment" / Default(Int16ul, 0)

_BODIES = {
    0: Struct(
        "flags" / Default(DRHD_FLAGS.schema, {}),
        "size" / Default(DRHD_SIZE.schema, {}),
        _SEGMENT,
        "base" / Int64ul,
        *_SCOPES,
    ),
    1: Struct("reserved" / Default(Int16ul, 0), _SEGMENT, "base" / Int64ul, "limit" / Int64ul, *_SCOPES),
    2: Struct("flags" / Default(ATSR_FLAGS.schema, {}), "reserved" / Default(Int8ul, 0), _SEGMENT, *_SCOPES),
    3: Struct(
        "reserved" / Default(Int32ul, 0),
        "base" / Int64ul,
        "proximity_domain" / Int32ul,
        "rest" / Default(GreedyBytes, b""),
    ),
    4: Struct("reserved" / Default(Bytes(3), bytes(3)), "device_number" / Int8ul, "object_name" / GreedyBytes),
    5: Struct("flags" / Default(SATC_FLAGS.schema, {}), "reserved" / Default(Int8ul, 0), _SEGMENT, *_SCOPES),
    6: Struct("reserved" / Default(Int16ul, 0), _SEGMENT, *_SCOPES),
}
NAMES = {0: "DRHD", 1: "RMRR", 2: "ATSR", 3: "RHSA", 4: "ANDD", 5: "SATC", 6: "SIDP"}

STRUCTURE = Struct(
    "type" / Int16ul,
    "body" / sized(Int16ul, 4, Switch(this.type, _BODIES, default=GreedyBytes)),
)
"""A remapping structure: type (`NAMES`) and body (bytes if the type is unknown). RMRR's `limit` is inclusive; ANDD's
`object_name` is the device's path in the ACPI namespace, with all bytes up to the structure's end."""

_PAGE = 4096

NO_BASE = (0, (1 << 64) - 1)
"""Register bases that firmware leaves in a DRHD when there is no unit; Linux refuses them (warn_invalid_dmar)."""


def window_size(size: Mapping[str, int]) -> int:
    """Bytes of a unit's register window. `size` is a DRHD's parsed size."""
    return _PAGE << size["size"]


SIGNATURES = (b"DMAR", b"RMAD", b"XMAR")
"""The table's own signature, and what Xen's `acpi_dmar_zap` makes of it: "RMAD" since Xen 4.6, "XMAR" before."""

DMAR = table(
    "haw" / Int8ul,
    "flags" / Default(TABLE_FLAGS.schema, {}),
    "reserved" / Default(Bytes(10), bytes(10)),
    "structures" / GreedyRange(STRUCTURE),
)
"""The table. `haw` is the host address width less 1."""
