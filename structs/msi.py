"""Message-signalled interrupts: the 64-bit address and 32-bit data in compatibility and remappable format (VT-d 5.1.2).

Bit 4 of the address says which format it is, and so which of the two data records applies.

    >>> address, data = 0xFEE0_0318, 2
    >>> values = ADDRESS.parse(address.to_bytes(8, "little"))
    >>> ADDRESS.record_of(address.to_bytes(8, "little")).title, values["handle"], values["shv"]
    ('remappable', 24, 1)
    >>> index(address, data)
    26
"""

from __future__ import annotations

from structs.apic import DELIVERY_MODES, DESTINATION_MODES, TRIGGER_MODES
from structs.bits import BitRecord, Tagged, field

_FORMAT = field("format", 4, help="interrupt format", meanings={0: "compatibility", 1: "remappable"})
_ADDRESS = (
    field("dontcare", (1, 0), help="ignored by hardware"),
    field("prefix", (31, 20), help="0xfee: the interrupt address range", meanings={0xFEE: "interrupt"}),
)

COMPATIBILITY_ADDRESS = BitRecord(
    "compatibility",
    8,
    *_ADDRESS,
    field("dm", 2, help="destination mode", meanings=DESTINATION_MODES),
    field("rh", 3, help="redirection hint: deliver to one of the destinations"),
    _FORMAT,
    field("dst", (19, 12), help="destination: APIC ID or set of CPUs"),
    source="VT-d 5.1.2.1",
)

REMAPPABLE_ADDRESS = BitRecord(
    "remappable",
    8,
    *_ADDRESS,
    field("handle", (19, 5, 0), (2, 2, 15), help="index of the IRTE, or of the first one if SHV=1"),
    field("shv", 3, help="subhandle valid: the data's subhandle is added to the handle"),
    _FORMAT,
    source="VT-d 5.1.2.2",
)

ADDRESS = Tagged("format", {0: COMPATIBILITY_ADDRESS, 1: REMAPPABLE_ADDRESS})

COMPATIBILITY_DATA = BitRecord(
    "compatibility data",
    4,
    field("vector", (7, 0), help="physical vector"),
    field("dlm", (10, 8), help="delivery mode", meanings=DELIVERY_MODES),
    field("level", 14, help="trigger level", meanings={0: "deassert", 1: "assert"}),
    field("tm", 15, help="trigger mode", meanings=TRIGGER_MODES),
    source="VT-d 5.1.2.1",
)

REMAPPABLE_DATA = BitRecord(
    "remappable data",
    4,
    field("subhandle", (15, 0), help="added to the handle if SHV=1; otherwise the whole data is ignored"),
    source="VT-d 5.1.2.2",
)


def is_remappable(address: int) -> bool:
    """Whether an MSI address is in remappable format; if not, it names an APIC and no IRTE."""
    return bool(_FORMAT.extract(address))


def index(address: int, data: int) -> int:
    """The interrupt index that a message in remappable format selects: handle, plus subhandle if SHV=1.

    It may be larger than any table (65,535): hardware then faults (0x21).

    Raises:
        ValueError: the message is in compatibility format.
    """
    if not is_remappable(address):
        raise ValueError(f"MSI address {address:#x} is in compatibility format: it selects no IRTE")
    handle = REMAPPABLE_ADDRESS["handle"].extract(address)
    return handle + REMAPPABLE_ADDRESS["shv"].extract(address) * REMAPPABLE_DATA["subhandle"].extract(data)
