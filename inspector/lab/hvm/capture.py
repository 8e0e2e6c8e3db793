"""A moment of an HVM lab as an ELF core: Xen's own pages, and what each CPU was doing.

Pages that domains own, other than page tables, free ones and Xen's code are left out: what is kept says nothing of a
guest, and is small. Whose a page is stands in Xen's frame table (`struct page_info`, asm-x86/mm.h).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inspector.base import new_file
from inspector.base.errors import VtdpiError
from inspector.capture.inspection import Inspection
from inspector.lab import LabError
from inspector.lab.hvm.lab import HvmLab
from inspector.targets.live.bochs import Bochs
from inspector.targets.ranges import Range
from inspector.targets.target import Cpu
from inspector.xen.xen import Xen

PAGE = 4096
FRAME_TABLE = 0xFFFF82E000000000
"""FRAMETABLE_VIRT_START."""
PAGE_INFO = np.dtype([("list", "<u8"), ("count_info", "<u8"), ("type_info", "<u8"), ("owner", "<u4"), ("stamp", "<u4")])
ALLOCATED, XEN_HEAP = 1 << 63, 1 << 62
STATE, FREE = 3 << 55, 3 << 55
"""PGC_allocated, PGC_xen_heap, PGC_state and PGC_state_free."""
TYPE, PAGE_TABLES = 61, (1, 2, 3, 4)
"""Where `type_info` has the type (PGT_type_mask), and those of page tables of each level."""

HEADER = struct.Struct("<4s5B7xHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
NOTE = struct.Struct("<III")
PRSTATUS = 336
PRSTATUS_REGISTERS = {"rip": 16, "rsp": 19}
QEMU_STATE = 440
QEMU_RSP, QEMU_RIP, QEMU_CR3 = 56, 136, 416
"""Where `struct elf_prstatus` has its registers (from byte 112 on), and QEMU's note some of its own."""


def capture(lab: HvmLab, path: Path) -> int:
    """Write the machine as it is now to a new file, compressed if its name ends in `.zst`; how many pages it holds.

    Raises:
        LabError: it runs no Xen that is known, or the file cannot be written.
    """
    with Bochs(lab.machine()) as bochs, bochs.held():
        xen = Inspection(bochs).xen
        if xen is None:
            raise LabError(f"{lab.name} has no Xen that is known, so its pages cannot be told from others")
        ranges = _ranges(bochs, xen)
        memory = [bochs.read(each.start, each.size) for each in ranges]
        cpus = bochs.cpus()
    core = _core(ranges, memory, cpus)
    if path.suffix == ".zst":
        from backports import zstd

        core = zstd.compress(core, level=19)
    try:
        new_file.write(str(path), core)
    except VtdpiError as error:
        raise LabError(str(error)) from error
    return sum(each.size for each in ranges) // PAGE


def _ranges(bochs: Bochs, xen: Xen) -> list[Range]:
    """The pages to keep, joined where they follow each other."""
    kept: list[Range] = []
    for known in bochs.memory():
        first, count = known.start // PAGE, known.size // PAGE
        raw = xen.memory.read(FRAME_TABLE + first * PAGE_INFO.itemsize, count * PAGE_INFO.itemsize)
        table = np.frombuffer(raw, PAGE_INFO)
        count_info, kind = table["count_info"], table["type_info"] >> TYPE
        # A paravirtualised domain's page tables map Xen as well, and tell that a CPU is in it.
        own = (count_info & ALLOCATED == 0) | (count_info & XEN_HEAP != 0) | np.isin(kind, PAGE_TABLES)
        keep = own & (count_info & STATE != FREE)
        for page in (np.flatnonzero(keep) + first).tolist():
            start = page * PAGE
            if _is_code(xen, start):
                continue
            kept.append(
                Range(kept.pop().start, start + PAGE) if kept and kept[-1].end == start else Range(start, start + PAGE)
            )
    return kept


def _is_code(xen: Xen, page: int) -> bool:
    first, last = (xen.memory.translate(xen.profile.symbol(name)) for name in ("_stext", "_etext"))
    # The page where it ends holds other things as well, and Xen's build-id may stand in its first.
    return first + PAGE <= page and page + PAGE <= last


def _core(ranges: Sequence[Range], memory: Sequence[bytes], cpus: Sequence[Cpu]) -> bytes:
    notes = b"".join(_notes(cpu) for cpu in cpus)
    notes_at = HEADER.size + SEGMENT.size * (len(ranges) + 1)
    at = -(-(notes_at + len(notes)) // PAGE) * PAGE
    head = HEADER.pack(
        *(b"\x7fELF", 2, 1, 1, 0, 0, 4, 62, 1, 0, HEADER.size, 0, 0, HEADER.size, SEGMENT.size, len(ranges) + 1),
        *(0, 0, 0),
    )
    segments = [SEGMENT.pack(4, 4, notes_at, 0, 0, len(notes), 0, 4)]
    padding = bytes(at - notes_at - len(notes))
    for each in ranges:
        segments.append(SEGMENT.pack(1, 6, at, 0, each.start, each.size, each.size, PAGE))
        at += each.size
    return head + b"".join(segments) + notes + padding + b"".join(memory)


def _notes(cpu: Cpu) -> bytes:
    """NT_PRSTATUS, and QEMU's note, which has CR3."""
    status, state = bytearray(PRSTATUS), bytearray(QEMU_STATE)
    struct.pack_into("<I", status, 32, cpu.index + 1)
    for name, number in PRSTATUS_REGISTERS.items():
        struct.pack_into("<Q", status, 112 + 8 * number, cpu.registers[name])
    struct.pack_into("<II", state, 0, 1, QEMU_STATE)
    for place, name in ((QEMU_RSP, "rsp"), (QEMU_RIP, "rip"), (QEMU_CR3, "cr3")):
        struct.pack_into("<Q", state, place, cpu.registers[name])
    return _note(b"CORE", 1, bytes(status)) + _note(b"QEMU", 0, bytes(state))


def _note(owner: bytes, kind: int, data: bytes) -> bytes:
    name = owner + b"\0"
    return NOTE.pack(len(name), len(data), kind) + b"".join(part + bytes(-len(part) % 4) for part in (name, data))
