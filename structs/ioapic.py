"""The IO-APIC redirection table entry, 64 bits, in compatibility and remappable format (VT-d 5.1.5.1, Intel 82093AA).

>>> rte = RTE.parse((0x0003_0000_0000_8048).to_bytes(8, "little"))
>>> rte["format"], rte["index"], rte["vector"], rte["tm"], rte["mask"]
(1, 1, 72, 1, 0)
"""

from __future__ import annotations

from structs.apic import DELIVERY_MODES, DESTINATION_MODES, TRIGGER_MODES
from structs.bits import BitRecord, Tagged, field

_COMMON = (
    field("vector", (7, 0), help="vector; in remappable format it should equal the IRTE's (level EOI is by vector)"),
    field("delivs", 12, help="delivery status", meanings={0: "idle", 1: "send pending"}),
    field("pol", 13, help="pin polarity", meanings={0: "high active", 1: "low active"}),
    field("irr", 14, help="remote IRR: a level interrupt was accepted and awaits its EOI"),
    field("tm", 15, help="trigger mode; in remappable format it must equal the IRTE's TM", meanings=TRIGGER_MODES),
    field("mask", 16, help="the pin is masked"),
    field("format", 48, help="interrupt format", meanings={0: "compatibility", 1: "remappable"}),
)

COMPATIBILITY = BitRecord(
    "compatibility",
    8,
    *_COMMON,
    field("dlm", (10, 8), help="delivery mode", meanings=DELIVERY_MODES),
    field("dm", 11, help="destination mode", meanings=DESTINATION_MODES),
    field("dst", (63, 56), help="destination: APIC ID or set of CPUs"),
    source="Intel 82093AA 3.2.4",
)

REMAPPABLE = BitRecord(
    "remappable",
    8,
    *_COMMON,
    field("index", (63, 49, 0), (11, 11, 15), help="index of the IRTE"),
    source="VT-d 5.1.5.1",
)

RTE = Tagged("format", {0: COMPATIBILITY, 1: REMAPPABLE})
