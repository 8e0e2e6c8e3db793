"""The registers of a remapping unit (VT-d 11.4), with their offsets in its register window.

    >>> cap = CAP.parse((0x00D2_008C_2226_0206).to_bytes(8, "little"))
    >>> fault_record_offset(cap), fault_record_count(cap), domain_count(cap), cap["pi"]
    (544, 1, 65536, 0)
    >>> irta = IRTA.parse((0x7A80_000F).to_bytes(8, "little"))
    >>> hex(irta["irta"]), table_entries(irta), irta["eime"]
    ('0x7a800000', 65536, 0)
    >>> hex(BY_NAME["IRTA"].offset), BY_NAME["IRTA"].size
    ('0xb8', 8)

Reading any of these has no side effect. Not in the table are those that a unit places itself: FRCD
(`structs.faults`, at `fault_record_offset`) and IOTLB (at `iotlb_offset`).
"""

from __future__ import annotations

from collections.abc import Mapping

from structs.bits import BitRecord, Field, field
from structs.frozen import frozen

_PAGE = 4096
_GRANULARITIES = {1: "global", 2: "domain", 3: "device"}
_TABLE_MODES = {0: "legacy", 1: "scalable", 2: "extended root table (RTT of revisions 2.x)", 3: "abort DMA"}


def _address(name: str, help: str) -> Field:
    """A 4 KiB aligned address in bits 63:12."""
    return field(name, (63, 12, 12), help=help)


VER = BitRecord(
    "VER",
    4,
    field("min", (3, 0), help="minor version of the architecture"),
    field("max", (7, 4), help="major version of the architecture"),
    source="VT-d 11.4.1",
)

CAP = BitRecord(
    "CAP",
    8,
    field("nd", (2, 0), help="domain-ids have 4 + 2 x ND bits"),
    field("afl", 3, help="advanced fault logging (older revisions)"),
    field("rwbf", 4, help="write buffers must be flushed"),
    field("plmr", 5, help="protected low-memory region"),
    field("phmr", 6, help="protected high-memory region"),
    field("cm", 7, help="caching mode: entries that are not present may be cached (emulated units)"),
    field("sagaw", (12, 8), help="second-stage address widths: bit 1 39 bits, bit 2 48 bits, bit 3 57 bits"),
    field("mgaw", (21, 16), help="maximum guest address width, less 1"),
    field("zlr", 22, help="zero-length reads"),
    field("isoch", 23, help="isochrony (revisions 1.x)"),
    field("fro", (33, 24), help="fault recording registers are at 16 x FRO"),
    field("sslps", (37, 34), help="second-stage large pages: bit 0 2 MiB, bit 1 1 GiB"),
    field("psi", 39, help="page-selective invalidation"),
    field("nfr", (47, 40), help="number of fault recording registers, less 1"),
    field("mamv", (53, 48), help="maximum address mask of a page-selective invalidation"),
    field("dwd", 54, help="write draining"),
    field("drd", 55, help="read draining"),
    field("fs1gp", 56, help="first-stage 1 GiB pages (FL1GP in older revisions)"),
    field("pi", 59, help="posted interrupts"),
    field("fs5lp", 60, help="first-stage 5-level paging (FL5LP in older revisions)"),
    field("ecmds", 61, help="enhanced commands"),
    field("esirtps", 62, help="setting the interrupt table pointer invalidates the interrupt entry cache"),
    field("esrtps", 63, help="setting the root table pointer invalidates the DMA translation caches"),
    source="VT-d 11.4.2",
)

ECAP = BitRecord(
    "ECAP",
    8,
    field("c", 0, help="page-walk coherency: accesses to tables in memory are snooped"),
    field("qi", 1, help="queued invalidation"),
    field("dt", 2, help="device TLBs"),
    field("ir", 3, help="interrupt remapping"),
    field("eim", 4, help="extended interrupt mode: x2APIC destinations"),
    field("ch", 5, help="caching hints (revisions 1.x)"),
    field("pt", 6, help="pass-through"),
    field("sc", 7, help="snoop control"),
    field("iro", (17, 8), help="IOTLB registers are at 16 x IRO"),
    field("mhmv", (23, 20), help="maximum index mask of an interrupt entry cache invalidation"),
    field("ecs", 24, help="extended context entries (revisions 2.x)"),
    field("mts", 25, help="memory types"),
    field("nest", 26, help="nested translation"),
    field("dis", 27, help="deferred invalidation (revisions 2.x)"),
    field("pasid_28", 28, help="process address space ids, in the first place that they had (revision 2.0)"),
    field("prs", 29, help="page requests"),
    field("ers", 30, help="execute requests"),
    field("srs", 31, help="supervisor requests"),
    field("nwfs", 33, help="no-write flag"),
    field("eafs", 34, help="extended accessed flag"),
    field("pss", (39, 35), help="PASIDs have PSS + 1 bits"),
    field("pasid", 40, help="process address space ids"),
    field("dit", 41, help="device-TLB invalidation throttle"),
    field("pds", 42, help="page-request drain"),
    field("smts", 43, help="scalable mode"),
    field("vcs", 44, help="virtual commands (emulated units)"),
    field("ssads", 45, help="second-stage accessed and dirty bits"),
    field("ssts", 46, help="second-stage translation"),
    field("fsts", 47, help="first-stage translation"),
    field("smpwcs", 48, help="scalable-mode page-walk coherency"),
    field("rps", 49, help="RID_PASID"),
    field("tdxio", 50, help="TDX-IO"),
    field("pms", 51, help="performance monitoring"),
    field("adms", 52, help="abort-DMA mode"),
    field("rprivs", 53, help="RID_PRIV"),
    field("hpts", 55, help="HPT"),
    field("ptrs", 56, help="PASID in translated requests"),
    field("pbds", 57, help="PBDS (Intel Core Ultra 200V register reference)"),
    field("eimer", 61, help="EIME is required for interrupt remapping"),
    field("irreq", 62, help="interrupt remapping is required"),
    source="VT-d 11.4.3",
)

GCMD = BitRecord(
    "GCMD",
    4,
    field("cfi", 23, help="let compatibility-format interrupts pass"),
    field("sirtp", 24, help="set the interrupt-remapping table pointer from IRTA"),
    field("ire", 25, help="enable interrupt remapping"),
    field("qie", 26, help="enable queued invalidation"),
    field("wbf", 27, help="flush the write buffers"),
    field("eafl", 28, help="enable advanced fault logging (older revisions)"),
    field("sfl", 29, help="set the fault log pointer (older revisions)"),
    field("srtp", 30, help="set the root table pointer from RTADDR"),
    field("te", 31, help="enable DMA translation"),
    source="VT-d 11.4.4.1",
)

GSTS = BitRecord(
    "GSTS",
    4,
    field("cfis", 23, help="compatibility-format interrupts pass (if EIME=0)"),
    field("irtps", 24, help="the interrupt-remapping table pointer is set"),
    field("ires", 25, help="interrupt remapping is enabled"),
    field("qies", 26, help="queued invalidation is enabled"),
    field("wbfs", 27, help="a write buffer flush is in progress"),
    field("afls", 28, help="advanced fault logging is enabled (older revisions)"),
    field("fls", 29, help="the fault log pointer is set (older revisions)"),
    field("rtps", 30, help="the root table pointer is set"),
    field("tes", 31, help="DMA translation is enabled"),
    source="VT-d 11.4.4.2",
)

RTADDR = BitRecord(
    "RTADDR",
    8,
    field("ttm", (11, 10), help="translation table mode", meanings=_TABLE_MODES),
    _address("rta", "root table address"),
    source="VT-d 11.4.5",
)

CCMD = BitRecord(
    "CCMD",
    8,
    field("did", (15, 0), help="domain-id"),
    field("sid", (31, 16), help="source-id"),
    field("fm", (33, 32), help="function mask"),
    field("caig", (60, 59), help="granularity that was performed", meanings=_GRANULARITIES),
    field("cirg", (62, 61), help="granularity that was requested", meanings=_GRANULARITIES),
    field("icc", 63, help="a context-cache invalidation is in progress"),
    source="VT-d 11.4.6",
)

IOTLB = BitRecord(
    "IOTLB",
    8,
    field("did", (47, 32), help="domain-id"),
    field("dw", 48, help="drain writes"),
    field("dr", 49, help="drain reads"),
    field("iaig", (58, 57), help="granularity that was performed", meanings={1: "global", 2: "domain", 3: "pages"}),
    field("iirg", (61, 60), help="granularity that was requested", meanings={1: "global", 2: "domain", 3: "pages"}),
    field("ivt", 63, help="an IOTLB invalidation is in progress"),
    source="VT-d 11.4.6",
)

FSTS = BitRecord(
    "FSTS",
    4,
    field("pfo", 0, help="primary fault overflow: faults were lost"),
    field("ppf", 1, help="primary pending fault: some fault record is valid"),
    field("afo", 2, help="advanced fault overflow (older revisions)"),
    field("apf", 3, help="advanced pending fault (older revisions)"),
    field("iqe", 4, help="invalidation queue error: the queue has stopped, see IQERCD"),
    field("ice", 5, help="invalidation completion error"),
    field("ite", 6, help="invalidation time-out error"),
    field("pro", 7, help="page request overflow (older revisions)"),
    field("fri", (15, 8), help="index of the first pending fault record"),
    source="VT-d 11.4.7.1",
)

EVENT_CONTROL = BitRecord(
    "event control",
    4,
    field("ip", 30, help="interrupt pending"),
    field("im", 31, help="interrupt mask"),
    source="VT-d 11.4.7.2, 11.4.9.5, 11.4.11",
)
EVENT_DATA = BitRecord(
    "event data",
    4,
    field("imd", (15, 0), help="interrupt message data"),
    field("eimd", (31, 16), help="extended interrupt message data"),
    source="VT-d 11.4.7.3, 11.4.9.6, 11.4.11",
)
EVENT_ADDRESS = BitRecord(
    "event address",
    4,
    field("ma", (31, 2, 2), help="message address; a unit's own events are never remapped"),
    source="VT-d 11.4.7.4, 11.4.9.7, 11.4.11",
)
EVENT_UPPER_ADDRESS = BitRecord(
    "event upper address",
    4,
    field("mua", (31, 0), help="message address bits 63:32 (x2APIC destination bits 31:8 in 31:8)"),
    source="VT-d 11.4.7.5, 11.4.9.8, 11.4.11",
)

AFLOG = BitRecord(
    "AFLOG",
    8,
    field("fls", (11, 9), help="fault log size: 2^FLS pages"),
    _address("fla", "fault log address"),
    source="VT-d 10.4.15 of older revisions",
)

PMEN = BitRecord(
    "PMEN",
    4,
    field("prs", 0, help="protected memory regions are enabled"),
    field("epm", 31, help="enable the protected memory regions"),
    source="VT-d 11.4.8",
)
PLMBASE = BitRecord("PLMBASE", 4, field("plmb", (31, 0), help="protected low memory: base"), source="VT-d 11.4.8")
PLMLIMIT = BitRecord("PLMLIMIT", 4, field("plml", (31, 0), help="protected low memory: limit"), source="VT-d 11.4.8")
PHMBASE = BitRecord("PHMBASE", 8, field("phmb", (63, 0), help="protected high memory: base"), source="VT-d 11.4.8")
PHMLIMIT = BitRecord("PHMLIMIT", 8, field("phml", (63, 0), help="protected high memory: limit"), source="VT-d 11.4.8")

IQH = BitRecord(
    "IQH",
    8,
    field("qh", (18, 4, 4), help="queue head: offset in bytes of the next descriptor to be fetched"),
    source="VT-d 11.4.9.1",
)
IQT = BitRecord(
    "IQT",
    8,
    field("qt", (18, 4, 4), help="queue tail: offset in bytes of the next descriptor to be written"),
    source="VT-d 11.4.9.2",
)
IQA = BitRecord(
    "IQA",
    8,
    field("qs", (2, 0), help="queue size: 2^QS pages"),
    field("dw", 11, help="descriptor width", meanings={0: "128 bits", 1: "256 bits"}),
    _address("iqa", "invalidation queue address"),
    source="VT-d 11.4.9.3",
)
ICS = BitRecord("ICS", 4, field("iwc", 0, help="a wait descriptor with IF=1 completed"), source="VT-d 11.4.9.4")
IQERCD = BitRecord(
    "IQERCD",
    8,
    field(
        "iqei",
        (3, 0),
        help="why FSTS.IQE was set",
        meanings={
            0: "not told",
            1: "wrong tail pointer",
            2: "descriptor could not be fetched",
            3: "wrong descriptor type",
            4: "reserved bit set in a descriptor",
            5: "wrong descriptor width in IQA",
            6: "tail pointer not aligned to 256-bit descriptors (IQA.DW=1)",
            7: "wrong translation table mode for this descriptor (RTADDR.TTM)",
        },
    ),
    field("itesid", (47, 32), help="source-id of the invalidation that timed out (FSTS.ITE)"),
    field("icesid", (63, 48), help="source-id of the wrong completion (FSTS.ICE)"),
    source="VT-d 11.4.9.9",
)

IRTA = BitRecord(
    "IRTA",
    8,
    field("s", (3, 0), help="size: 2^(S+1) entries"),
    field("eime", 11, help="extended interrupt mode: 0 8-bit (xAPIC), 1 32-bit (x2APIC) destinations"),
    _address("irta", "interrupt-remapping table address"),
    source="VT-d 11.4.10",
)

PQH = BitRecord("PQH", 8, field("pqh", (18, 5, 5), help="page request queue head, in bytes"), source="VT-d 11.4.11")
PQT = BitRecord("PQT", 8, field("pqt", (18, 5, 5), help="page request queue tail, in bytes"), source="VT-d 11.4.11")
PQA = BitRecord(
    "PQA",
    8,
    field("pqs", (2, 0), help="queue size: 2^PQS pages"),
    _address("pqa", "page request queue address"),
    source="VT-d 11.4.11",
)
PRS = BitRecord(
    "PRS",
    4,
    field("ppr", 0, help="a page request is pending"),
    field("pro", 1, help="page request overflow"),
    source="VT-d 11.4.11",
)


@frozen
class Register:
    """A register: its name in the specification (without _REG), its offset in the window in bytes, its layout."""

    name: str
    offset: int
    record: BitRecord

    @property
    def size(self) -> int:
        """Width in bytes: it must be read whole and aligned."""
        return self.record.size


REGISTERS = (
    Register("VER", 0x00, VER),
    Register("CAP", 0x08, CAP),
    Register("ECAP", 0x10, ECAP),
    Register("GCMD", 0x18, GCMD),
    Register("GSTS", 0x1C, GSTS),
    Register("RTADDR", 0x20, RTADDR),
    Register("CCMD", 0x28, CCMD),
    Register("FSTS", 0x34, FSTS),
    Register("FECTL", 0x38, EVENT_CONTROL),
    Register("FEDATA", 0x3C, EVENT_DATA),
    Register("FEADDR", 0x40, EVENT_ADDRESS),
    Register("FEUADDR", 0x44, EVENT_UPPER_ADDRESS),
    Register("AFLOG", 0x58, AFLOG),
    Register("PMEN", 0x64, PMEN),
    Register("PLMBASE", 0x68, PLMBASE),
    Register("PLMLIMIT", 0x6C, PLMLIMIT),
    Register("PHMBASE", 0x70, PHMBASE),
    Register("PHMLIMIT", 0x78, PHMLIMIT),
    Register("IQH", 0x80, IQH),
    Register("IQT", 0x88, IQT),
    Register("IQA", 0x90, IQA),
    Register("ICS", 0x9C, ICS),
    Register("IECTL", 0xA0, EVENT_CONTROL),
    Register("IEDATA", 0xA4, EVENT_DATA),
    Register("IEADDR", 0xA8, EVENT_ADDRESS),
    Register("IEUADDR", 0xAC, EVENT_UPPER_ADDRESS),
    Register("IQERCD", 0xB0, IQERCD),
    Register("IRTA", 0xB8, IRTA),
    Register("PQH", 0xC0, PQH),
    Register("PQT", 0xC8, PQT),
    Register("PQA", 0xD0, PQA),
    Register("PRS", 0xDC, PRS),
    Register("PECTL", 0xE0, EVENT_CONTROL),
    Register("PEDATA", 0xE4, EVENT_DATA),
    Register("PEADDR", 0xE8, EVENT_ADDRESS),
    Register("PEUADDR", 0xEC, EVENT_UPPER_ADDRESS),
)
"""By offset, ascending."""

BY_NAME = {register.name: register for register in REGISTERS}


def fault_record_offset(cap: Mapping[str, int]) -> int:
    """Offset in bytes of the first fault recording register; each has 16 bytes. `cap` is a parsed CAP."""
    return cap["fro"] * 16


def fault_record_count(cap: Mapping[str, int]) -> int:
    """How many fault recording registers there are."""
    return cap["nfr"] + 1


def domain_count(cap: Mapping[str, int]) -> int:
    """How many domain-ids the unit has; ND=7 is reserved."""
    return 1 << 4 + 2 * cap["nd"]


def iotlb_offset(ecap: Mapping[str, int]) -> int:
    """Offset in bytes of the IOTLB register; IVA, which is write-only, stands before it. `ecap` is a parsed ECAP."""
    return ecap["iro"] * 16 + 8


def queue_size(iqa: Mapping[str, int]) -> int:
    """Bytes of the invalidation queue. `iqa` is a parsed IQA."""
    return _PAGE << iqa["qs"]


def descriptor_size(iqa: Mapping[str, int]) -> int:
    """Bytes of one invalidation descriptor."""
    return 32 if iqa["dw"] else 16


def table_entries(irta: Mapping[str, int]) -> int:
    """Entries of the interrupt-remapping table, 16 bytes each. `irta` is a parsed IRTA."""
    return 2 << irta["s"]
