"""Fault recording registers and fault reasons (VT-d 11.4.7.6, 5.1.4.1).

>>> raw = (0x001E_0000_0000_0000).to_bytes(8, "little") + (0x0000_0024_0000_0018).to_bytes(8, "little")
>>> fault = FRCD.parse(raw)
>>> hex(fault["fr"]), hex(fault["sid"]), interrupt_index(fault)
('0x24', '0x18', 30)
>>> REASONS[fault["fr"]].text, REASONS[fault["fr"]].fpd_suppresses
('a reserved bit is set in the IRTE, or a field has a value that is reserved in this mode', True)
"""

from __future__ import annotations

from collections.abc import Mapping

from structs.bits import BitRecord, field
from structs.frozen import frozen

FRCD = BitRecord(
    "FRCD",
    16,
    field("fi", (63, 12, 12), help="fault info: page address (DMA), or the interrupt index in bits 63:48 (interrupts)"),
    field("sid", (79, 64), help="source-id of the faulted request"),
    field("t2", 92, help="type, bit 2", meanings={0: "write or read", 1: "page request or AtomicOp"}),
    field("priv", 93, help="privilege mode requested (DMA, if PP=1)", meanings={0: "user", 1: "supervisor"}),
    field("exe", 94, help="execute permission requested (DMA, if PP=1)"),
    field("pp", 95, help="PASID present (DMA)"),
    field("fr", (103, 96), help="fault reason"),
    field("pv", (123, 104), help="PASID value (DMA, if PP=1)"),
    field("at", (125, 124), help="address type of the faulted request (DMA)"),
    field("t1", 126, help="type, bit 1 (DMA)", meanings={0: "write or page request", 1: "read or AtomicOp"}),
    field("f", 127, help="fault: the record is valid; software writes 1 to clear it"),
    source="VT-d 11.4.7.6",
)

BLOCKED_COMPATIBILITY = 0x25


@frozen
class Reason:
    """What a fault reason means.

    `fpd_suppresses`: FPD=1 in the IRTE keeps it from being recorded; None for DMA faults, which have other FPD bits.
    """

    text: str
    fpd_suppresses: bool | None = None


INTERRUPT_REASONS = {
    0x20: Reason("a reserved bit is set in the remappable interrupt request", False),
    0x21: Reason("the interrupt index is beyond the table's size", False),
    0x22: Reason("the IRTE is not present (P=0)", True),
    0x23: Reason("the interrupt-remapping table could not be read (IRTA)", False),
    0x24: Reason("a reserved bit is set in the IRTE, or a field has a value that is reserved in this mode", True),
    0x25: Reason("a compatibility-format interrupt was blocked (EIME=1 or CFIS=0)", False),
    0x26: Reason("the requester's source-id is not the one the IRTE allows (SID, SQ, SVT)", True),
    0x27: Reason("the posted-interrupt descriptor could not be accessed (PDA)", True),
    0x28: Reason("a reserved bit is set in the posted-interrupt descriptor", True),
    0x29: Reason("a malformed write to the interrupt address range", False),
    0x2A: Reason("the unit requires EIME=1 for this interrupt (ECAP.EIMER)", False),
    0x2B: Reason("the unit requires interrupt remapping for this interrupt (ECAP.IRREQ)", False),
}
"""Interrupt-remapping fault reasons, VT-d 5.1.4.1."""

REASONS = INTERRUPT_REASONS | {
    code: Reason(text)
    for code, text in {
        0x01: "the root entry is not present",
        0x02: "the context entry is not present",
        0x03: "the context entry is programmed wrongly",
        0x04: "the address is beyond what the unit translates (MGAW)",
        0x05: "no write permission in the second-stage tables",
        0x06: "no read permission in the second-stage tables",
        0x07: "a second-stage paging entry could not be read",
        0x08: "the root entry could not be read (RTADDR)",
        0x09: "the context entry could not be read",
        0x0A: "a reserved bit is set in the root entry",
        0x0B: "a reserved bit is set in the context entry",
        0x0C: "a reserved bit is set in a second-stage paging entry",
        0x0D: "the context entry's translation type blocks this kind of request",
        0x0E: "the translated address lies in the interrupt address range",
        0x30: "scalable mode: wrong root table address",
        0x31: "request with PASID while the translation table mode is legacy",
        0x32: "page-group request while the translation table mode is legacy",
        0x33: "the translation table mode blocks the request (RTADDR.TTM)",
        0x38: "scalable mode: the root entry could not be read",
        0x39: "scalable mode: the root entry is not present",
        0x3A: "scalable mode: a reserved bit is set in the root entry",
        0x40: "scalable mode: the context entry could not be read",
        0x41: "scalable mode: the context entry is not present",
        0x42: "scalable mode: a reserved bit is set in the context entry",
        0x43: "scalable mode: the context entry is programmed wrongly",
        0x44: "scalable mode: the context entry does not allow device TLBs (DTE=0)",
        0x45: "scalable mode: the context entry does not allow requests with PASID (PASIDE=0)",
        0x46: "scalable mode: the PASID is larger than the context entry allows (PDTS)",
        0x47: "scalable mode: the context entry does not allow page requests (PRE=0)",
        0x48: "scalable mode: RID_PASID in the context entry is wrong",
        0x50: "the PASID directory entry could not be read",
        0x51: "the PASID directory entry is not present",
        0x52: "a reserved bit is set in the PASID directory entry",
        0x58: "the PASID table entry could not be read",
        0x59: "the PASID table entry is not present",
        0x5A: "a reserved bit is set in the PASID table entry",
        0x5B: "the PASID table entry is programmed wrongly",
        0x5C: "the PASID table entry does not allow execute requests (ERE=0)",
        0x5D: "the PASID table entry does not allow supervisor requests (SRE=0)",
        0x70: "a first-stage paging entry could not be read",
        0x71: "a first-stage paging entry is not present",
        0x72: "a reserved bit is set in a first-stage paging entry",
        0x73: "a first-stage PML4 or PML5 entry could not be read",
        0x74: "nested: the address of a first-stage paging entry is beyond what the second stage translates",
        0x75: "nested: no read permission for the first-stage PML4 or PML5 entry",
        0x76: "nested: no read permission for a first-stage paging entry",
        0x77: "nested: no write permission for a first-stage paging entry",
        0x78: "a second-stage paging entry could not be read",
        0x79: "no permission in the second-stage tables",
        0x7A: "a reserved bit is set in a second-stage paging entry",
        0x7B: "the pointer to the second-stage tables is wrong",
        0x7C: "an accessed or dirty bit of a second-stage entry is to be set, and tables are not snooped",
        0x7D: "an accessed or dirty bit of a second-stage entry could not be set",
        0x80: "the address is not canonical",
        0x81: "a user request, and the first-stage entry is for the supervisor only",
        0x82: "no execute permission for an execute request with PASID",
        0x83: "the address is beyond what the unit translates (MGAW)",
        0x84: "the address in a second-stage entry is beyond the host's address width",
        0x85: "no permission for a write or an AtomicOp",
        0x86: "no permission for a read or an AtomicOp",
        0x87: "the translated address lies in the interrupt address range",
        0x88: "scalable mode: general fault SGN.9, whose meaning is not known here",
        0x89: "scalable mode: general fault SGN.10, whose meaning is not known here",
        0x90: "an accessed or dirty bit of a first-stage entry is to be set, and tables are not snooped",
        0x91: "an accessed or dirty bit of a first-stage entry could not be set",
    }.items()
}
"""Every fault reason known here (VT-d 7.1.3 and 5.1.4.1; Linux iommu/intel/dmar.c, VirtualBox iommu-intel.h)."""


def interrupt_index(fault: Mapping[str, int]) -> int | None:
    """The interrupt index of an interrupt-remapping fault; None if the fault is another one or has no index (0x25)."""
    if fault["fr"] not in INTERRUPT_REASONS or fault["fr"] == BLOCKED_COMPATIBILITY:
        return None
    return fault["fi"] >> 48


def request_in_words(fault: Mapping[str, int]) -> str:
    """What a DMA request that faulted wanted: `read`, `write`, `page request`, `AtomicOp`; and its PASID, if any."""
    # Type: bit 1 is T1, bit 2 is T2 (VT-d 11.4.7.6).
    kind = (("write", "read"), ("page request", "AtomicOp"))[fault["t2"]][fault["t1"]]
    words = [kind]
    if fault["pp"]:
        words.append(f"PASID {fault['pv']:#x}")
        words += [word for word, is_so in (("execute", fault["exe"]), ("supervisor", fault["priv"])) if is_so]
    return " ".join(words)
